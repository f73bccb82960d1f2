#!/usr/bin/env bash
# test.sh: installs what is missing, builds the tests, runs all of them; the last line is
# "N passed, N failed" (and ", N skipped"). Arguments: only suites whose name contains one of them.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")"
. .ci/common.sh

phase "Debian packages" install_missing "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
phase "build of the tests" configure_and_build test build/test
say "tests"
exec /usr/bin/python3 tests/run_tests.py --build build/test "$@"
