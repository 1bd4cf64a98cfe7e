# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2317  # `fuzz_factor` and `log_dir` are the caller's; `step` calls functions by name
# The fuzz targets: tests/fuzz/NAME_fuzz.cc each, with inputs in tests/fuzz/corpus/NAME/ and, if it helps,
# a dictionary in tests/fuzz/NAME.dict. The caller sets `fuzz_factor`.

[[ ${SURGEGATE_SEED:-1} =~ ^(0|[1-9][0-9]*|0x[0-9a-fA-F]+)$ ]] || usage_error "SURGEGATE_SEED wants a number, not '$SURGEGATE_SEED'"
fuzz_seed=$((${SURGEGATE_SEED:-1} & 0x7fffffff)) # libFuzzer takes 32 bits, and 0 as "make one up"
((fuzz_seed)) || fuzz_seed=1

# How many inputs a target gets on top of its corpus: a count, not a time, so that a run can be repeated.
# Building a list, or playing dozens of packets twice, takes milliseconds under sanitizers; each count is some 20 s.
fuzz_runs() { # NAME
  local runs=20000
  case $1 in lookup | packet) runs=4000 ;; esac
  echo $((runs * fuzz_factor))
}

build_fuzz_targets() { # LABEL...
  local targets=("${@#*/}") with=
  command -v ccache >/dev/null && with='ccache '
  CC=${with}clang CXX=${with}clang++ step configure-fuzz 'configuring with sanitizers' \
    configure build/fuzz --buildtype=debugoptimized -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false &&
    step --live build-fuzz "building fuzz targets: $#" compile build/fuzz "${targets[@]/%/_fuzz}"
}

# One target over its corpus and then over inputs of its own. What it finds on the way is thrown away, so
# that the same seed gives the same run; an input that breaks it is kept in build/fuzz/found.
fuzz() { # NAME
  local corpus=tests/fuzz/corpus/$1 dictionary=tests/fuzz/$1.dict program scratch inputs
  local options=("-seed=$fuzz_seed" "-artifact_prefix=build/fuzz/found/$1-" -timeout=60 -rss_limit_mb=4096)
  program=$(find build/fuzz -type f -name "$1_fuzz")
  inputs=$(find "$corpus" -type f 2>/dev/null | wc -l)
  ((inputs > 0)) || { echo "$corpus holds no input: a target without a corpus starts from nothing" && return 1; }
  [[ ! -f $dictionary ]] || options+=("-dict=$dictionary")
  mkdir -p build/fuzz/found
  scratch=$(mktemp -d)
  ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1 \
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    "$program" "${options[@]}" -runs=$((inputs + $(fuzz_runs "$1"))) "$scratch" "$corpus" && status=0 || status=$?
  rm -r "$scratch"
  return "$status"
}

advice_fuzz() { # LOG
  local input
  input=$(sed -n 's/.*Test unit written to //p' "$1")
  [[ -z $input ]] || say "repeat it with $(find build/fuzz -type f -name "$(basename "$1" .log)_fuzz") $input; once it is mended, keep the input in the corpus, under tests/fuzz/corpus/."
}

fuzz_targets() { # LABEL...
  local label built=true
  build_fuzz_targets "$@" || built=false
  heading "fuzz targets: $#, seed $fuzz_seed"
  for label; do
    if ! $built; then
      record "$label" 1 'it was not built, see above'
    elif substep "$label" "$label, $(fuzz_runs "${label#*/}") inputs on top of its corpus" fuzz "${label#*/}"; then
      record "$label" 0 ''
    else
      record "$label" 1 "see above, or $log_dir/$label.log"
    fi
  done
}
