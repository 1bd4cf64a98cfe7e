# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Steps with visible progress. The caller sets `steps_total` if it knows how many there will be.

log_dir=build/logs
step_number=0
steps_total=0

say() { printf '%s\n' "$*"; }
complain() { printf '%s\n' "$*" >&2; }

usage_error() {
  complain "$(basename "$0"): $1"
  complain "Try: ./scripts/$(basename "$0") --help"
  exit 2
}

# What is wrong with the arguments of an option that wants a positive whole number, or nothing.
require_count() { # OPTION VALUE
  [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage_error "$1 wants a positive whole number, not '${2:-}'"
}

count_step() {
  step_number=$((step_number + 1))
  step_prefix="[$step_number]"
  ((steps_total == 0)) || step_prefix="[$step_number/$steps_total]"
}

# Runs a command as a numbered step: one line with the time it took. Its output goes to
# build/logs/LOG.log; with --live, and if stdout is a terminal, to the terminal as well, as it comes.
# On failure the end of the log is shown, where the rest is, and what the function advice_LOG has to say.
# Returns the command's exit status.
step() { # [--live] LOG TITLE COMMAND...
  count_step
  numbered "$step_prefix" "$@"
}

# A step that consists of substeps.
heading() { # TITLE
  count_step
  say "$step_prefix $1"
}

# To a terminal: lines as they come, but ninja's progress ("[3/90] Compiling ...") in one line that changes.
show_live() {
  local line columns progress=false
  columns=$(stty size <&1 2>/dev/null) || columns='24 80'
  columns=${columns#* }
  ((columns > 1)) || columns=80
  while IFS= read -r line || [[ -n $line ]]; do
    if [[ $line =~ ^\[[0-9]+/[0-9]+\]\  ]]; then
      printf '\r\e[K%s' "${line:0:columns-1}"
      progress=true
    else
      ! $progress || printf '\n'
      printf '%s\n' "$line"
      progress=false
    fi
  done
  ! $progress || printf '\n'
}

# For SIGINT and SIGTERM. What was under way has ended, and its last words were for nobody. It may be that a
# function was, with this shell's own output in a log.
exec {own_stderr}>&2
interrupted() {
  exec 2>&"$own_stderr"
  [[ ! -t 2 ]] || printf '\n' >&2
  complain 'interrupted; start it again, it goes on'
  exit 130
}

# A part of a step: indented, without a number.
substep() { # [--live] LOG TITLE COMMAND...
  numbered '     ' "$@"
}

numbered() { # PREFIX [--live] LOG TITLE COMMAND...
  local prefix=$1 live=false status=0 started=$SECONDS
  shift
  if [[ $1 == --live ]]; then
    shift
    [[ -t 1 ]] && live=true
  fi
  local name=$1 title=$2 log=$log_dir/$1.log
  shift 2
  mkdir -p "$(dirname "$log")"
  printf '%s %s ... ' "$prefix" "$title"
  rm -f "$log" # an older one would speak for this step
  if $live; then
    printf '\n'
    "$@" 2>&1 </dev/null | tee "$log" | show_live || status=${PIPESTATUS[0]}
    printf '%s %s ... ' "$prefix" "$title"
  else
    "$@" >"$log" 2>&1 </dev/null || status=$?
  fi
  if ((status == 0)); then
    printf '%d s\n' $((SECONDS - started))
  else
    printf 'failed after %d s\n' $((SECONDS - started))
    report_failure "$name" "$log" "$live"
  fi
  return "$status"
}

report_failure() { # NAME LOG LIVE
  $3 || tail -n 30 "$2" | sed 's/^/  | /'
  say "  The whole log: $2"
  local advice=advice_${1%%[/-]*}
  if declare -F "$advice" >/dev/null; then
    "$advice" "$2" | sed 's/^/  What to do: /'
  fi
}

# A build directory made with sudo cannot be used without it.
require_own_build_directory() {
  local path
  for path in build build/build.ninja build/logs; do
    if [[ -e $path && ! -w $path ]]; then
      complain "$path is not yours to write to; it was probably made with sudo. Remove it (sudo rm -r build) and try again."
      exit 2
    fi
  done
}
