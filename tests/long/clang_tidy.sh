#!/usr/bin/env bash
# clang_tidy.sh: what clang-tidy says of every shipped file, by clang's own compile commands.
set -e
. .ci/common.sh
install_missing clang clang-tidy
configure_and_build clang build/clang
exec /usr/bin/python3 tests/tidy/tidy.py --clang-tidy build/clang
