# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Configuring and building, for the scripts that sit on top.

jobs=$(nproc)

# Configures a build directory; does nothing if it is configured with these options already.
configure() { # DIRECTORY OPTION...
  local directory=$1 record=$1/configured-with again=()
  shift
  [[ ! -f $directory/build.ninja ]] || again=(--reconfigure)
  [[ ${#again[@]} -eq 0 || $(cat "$record" 2>/dev/null) != "$*" ]] || return 0
  rm -f "$record"
  meson setup "${again[@]}" "$directory" "$@" && printf '%s\n' "$*" >"$record"
}

# To be called when packages were installed: meson remembers what it did not find.
forget_configuration() { rm -f build/configured-with build/fuzz/configured-with; }

compile() { # DIRECTORY TARGET...
  local directory=$1
  shift
  meson compile -C "$directory" -j "$jobs" "$@"
}

advice_configure() { # LOG
  if grep -qsE 'not found|Dependency .* found: NO|command not found' "$1"; then
    say 'something that the build needs is not installed: leave --no-install out, or install it by hand.'
  else
    say 'the line with ERROR above says what meson does not accept.'
  fi
  say 'if the tree was moved or copied since the last build, remove the build directory (rm -r build) and start this again.'
}

# Asked besides the log, which a full disk takes no line of.
disk_is_full() { (($(df --output=avail -k . | tail -n 1) < 10240)); }

advice_build() { # LOG
  if grep -qsE 'Killed|[Cc]annot allocate memory|out of memory|virtual memory exhausted' "$1"; then
    say 'the machine ran out of memory: start this again with -j 1, which goes on from here.'
  elif grep -qs 'No space left on device' "$1" || disk_is_full; then
    say 'the disk is full: make room (the build wants about 1 GB), then start this again; it goes on from here.'
  else
    say 'the first "error:" above or in the log says what the compiler does not accept. If you changed nothing, start again from nothing: rm -r build'
  fi
}
