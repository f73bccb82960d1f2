# common.sh: what run.sh, test.sh and .ci/* share; sourced by bash, in the top of the source tree.

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  BOLD=$'\e[1m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
  BOLD='' RED='' GREEN='' PLAIN=''
fi

say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*"; }
fail() {
  printf '%serror:%s %s\n' "$RED" "$PLAIN" "$*" >&2
  exit 1
}

# phase NAME COMMAND…: runs it, says how long it took. Output goes to the terminal.
phase() {
  local name=$1 start=$SECONDS
  shift
  say "$name"
  "$@" || fail "$name failed; the lines above say why"
  printf '    %s%s%s, %d s\n' "$GREEN" "$name" "$PLAIN" $((SECONDS - start))
}

# install_missing PACKAGE…: apt-get installs those that are not there; nothing to do: no network.
install_missing() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    echo "    all $# packages are installed"
    return 0
  fi
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "not root and no sudo; install: ${missing[*]}"
    root=(sudo)
  fi
  echo "    installing ${missing[*]}"
  "${root[@]}" apt-get update -qq || return 1
  DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends \
    "${missing[@]}" >/dev/null
}

# configure_and_build PRESET FOLDER [cmake arguments…]
configure_and_build() {
  local preset=$1 folder=$2
  shift 2
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$preset" -B "$folder" "${launcher[@]}" "$@" >"/tmp/sluice-cmake-$$.log" 2>&1 || {
    cat "/tmp/sluice-cmake-$$.log"
    rm -f "/tmp/sluice-cmake-$$.log"
    return 1
  }
  rm -f "/tmp/sluice-cmake-$$.log"
  if [ -t 1 ]; then
    cmake --build "$folder" -j "$(nproc)"
  else
    cmake --build "$folder" -j "$(nproc)" >"$folder/build.log" 2>&1 || {
      tail -60 "$folder/build.log"
      return 1
    }
  fi
}

# What a build needs.
BUILD_PACKAGES=(gcc g++ cmake ninja-build pkg-config lua5.4 liblua5.4-dev libuv1-dev libseccomp-dev
  libcjson-dev libyaml-dev libssl-dev liblz4-dev libzstd-dev libsnappy-dev libisal-dev zlib1g-dev
  libhttp-parser-dev libffi-dev libncurses-dev scdoc)
# What the tests need beside it.
TEST_PACKAGES=(libcriterion-dev kcat python3 python3-kafka python3-confluent-kafka clang clang-format git make fish zsh)
# What CI needs beside that: clang alone has no runtime for sanitizers and fuzzers, and llvm names the lines in their reports.
CI_PACKAGES=(ccache librdkafka-dev libclang-rt-dev llvm)
