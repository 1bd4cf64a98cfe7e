# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154  # `names` is the caller's
# Which tests the command line asked for. A test's label is PART/NAME, or PART alone; the caller sets `names`.

# Prints those of the given labels that the command line asked for.
asked_for() { # LABEL...
  local label name
  for label; do
    if ((${#names[@]} == 0)); then
      echo "$label"
    else
      for name in "${names[@]}"; do
        [[ $label == *"$name"* ]] && echo "$label" && break
      done
    fi
  done
}

# A misspelt name must not pass for a test that held.
refuse_unknown_names() { # LABEL...
  local name
  for name in "${names[@]}"; do
    if ! grep -qF -- "$name" <(printf '%s\n' "$@"); then
      complain "test: no test's name contains '$name'. There are: $*"
      exit 2
    fi
  done
}

labels_of() { # PART SUFFIX FILE...   -> PART/NAME for each FILE with its SUFFIX taken off
  local part=$1 suffix=$2 file
  shift 2
  for file; do
    echo "$part/$(basename "$file" "$suffix")"
  done
}
