#!/bin/sh
# run_sanitized.sh PROGRAM [ARGUMENT…]: runs a test built with sanitizers and fails on any report.
#
# Criterion runs each test in a process of its own and does not see what a sanitizer says as that process
# ends (leaks, races): a run with reports would be green. So the reports go to files, and a file is a failure.
# Addresses are not randomised, because ThreadSanitizer cannot start otherwise on newer kernels.
logs=$(mktemp -d) || exit 2
trap 'rm -rf "$logs"' EXIT
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}log_path=$logs/asan"
export TSAN_OPTIONS="${TSAN_OPTIONS:+$TSAN_OPTIONS:}log_path=$logs/tsan"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$logs/ubsan:print_stacktrace=1"
setarch -R "$@"
status=$?
for log in "$logs"/*; do
    [ -e "$log" ] || continue
    cat "$log"
    status=1
done
exit $status
