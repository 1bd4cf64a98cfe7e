# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# The Debian 12 packages that Surgegate needs, and how the missing ones are installed.

# To build the program, its tests and benchmarks, and to run it.
# shellcheck disable=SC2034
packages_run=(
  build-essential meson ninja-build pkgconf clang
  libdpdk-dev libhyperscan-dev libbpf-dev libpcap-dev libmnl-dev
  libcli11-dev libyaml-cpp-dev nlohmann-json3-dev libfmt-dev libexpected-dev libboost-dev
  libgtest-dev libbenchmark-dev
  python3
)

# On top of that: sanitizers, fuzzers, form and shell checks, and the real clients and servers of the live tests.
# shellcheck disable=SC2034
packages_test=(
  clang-format clang-tidy shellcheck llvm libclang-rt-14-dev
  nginx-light haproxy curl wrk nodejs openssl iputils-ping
  tcpdump tshark ethtool iproute2 nftables util-linux
  python3-jsonschema
)

# What Debian gives comes first: another python3 (pyenv's, say) lacks Debian's modules. /usr/sbin, with ethtool
# and nginx in it, is not in the PATH of ordinary users.
export PATH=/usr/bin:/bin:$PATH:/usr/sbin:/sbin

# A program that another vendor's package provides need not be installed again.
provided_otherwise() { # PACKAGE
  case $1 in
    nodejs) command -v node >/dev/null ;;
    nginx-light) command -v nginx >/dev/null ;;
    *) false ;;
  esac
}

# Prints those of the given packages that are neither installed nor provided otherwise.
missing_packages() { # PACKAGE...
  local package installed
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p' || true)
  for package; do
    grep -qxF "$package" <<<"$installed" || provided_otherwise "$package" || echo "$package"
  done
}

# How to become root: nothing if we are, sudo if it lets us; fails if neither. Without a terminal to ask for
# a password on, sudo must not wait for one.
root_prefix() {
  local with_sudo=sudo
  ((EUID != 0)) || return 0
  [[ -t 0 && -t 2 ]] || with_sudo='sudo -n'
  command -v sudo >/dev/null && $with_sudo -v && echo "$with_sudo"
}

# The first step: installs what is missing.
install_packages() { # INSTALL(true|false) PACKAGE...
  local install=$1 missing=() become_root
  shift
  if command -v dpkg-query >/dev/null; then
    mapfile -t missing < <(missing_packages "$@")
  else
    complain "This is not Debian, so nothing is installed. What is needed, by Debian's names: $*"
  fi
  if ((${#missing[@]} == 0)); then
    step packages 'packages: nothing to install' true
  elif ! $install; then
    step packages "packages: not installed, as --no-install asks: ${missing[*]}" true
  elif become_root=$(root_prefix); then
    forget_configuration
    # shellcheck disable=SC2086  # two words, or one, or none
    step --live packages "packages: installing ${#missing[@]} (${missing[*]})" \
      $become_root bash scripts/lib/apt-install "${missing[@]}"
  else
    complain "Packages are missing, and installing them takes root or sudo. As root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    complain 'Then start this again; or add --no-install to go on without them.'
    return 1
  fi
}

advice_packages() { # LOG
  # Without a network apt has no lists, so that it cannot locate a package either.
  if grep -qsE 'Failed to fetch|Could not (resolve|connect)|Temporary failure' "$1"; then
    say 'the package mirror was not reached: look at the network and at /etc/apt/sources.list (sudo apt-get update), then start this again.'
  elif grep -qs 'Unable to locate package' "$1"; then
    say 'Surgegate is built on Debian 12 (bookworm). Elsewhere, install the equivalents by hand and add --no-install.'
  elif grep -qsE 'dpkg was interrupted|dpkg: error' "$1"; then
    say 'dpkg has something unfinished: sudo dpkg --configure -a && sudo apt-get --fix-broken install, then start this again.'
  elif grep -qs 'Could not get lock' "$1"; then
    say 'another apt or dpkg is at work on this machine; wait for it, then start this again.'
  else
    say 'see that the network and the package mirror can be reached (sudo apt-get update), then start this again; or install by hand and add --no-install.'
  fi
}
