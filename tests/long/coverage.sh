#!/usr/bin/env bash
# coverage.sh: a build with coverage counters, in which the sandbox must hold as in any other: the attack suite, the sandbox's own tests and the brokers with plugins; then what of each folder
# they ran. Workers carry no counters (docs/sandbox/threat-model.md).
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. .ci/common.sh
configure_and_build coverage build/coverage
find build/coverage -name '*.gcda' -delete
/usr/bin/python3 tests/run_tests.py --build build/coverage \
  attacks sandbox plugins poison ffi frontend_line workbench processor_lua
find build/coverage -name '*.gcda' -print0 | xargs -0 gcov -n 2>/dev/null | awk -v here="$PWD/" '
  /^File / { file = substr($0, 7, length($0) - 7); sub(here, "", file) }
  /^Lines executed:/ && file ~ /^(core|sandbox)\// {
    split($0, part, /[:% ]+/)   # Lines executed:91.30% of 23
    run = part[3] / 100 * part[5]
    if (run > best[file]) best[file] = run
    lines[file] = part[5]
  }
  END {
    for (file in lines) { split(file, at, "/"); folder = at[2] ~ /\./ ? at[1] : at[1] "/" at[2]; all[folder] += lines[file]; got[folder] += best[file] }
    for (folder in all) printf "%-28s %5.1f %% of %d lines\n", folder, 100 * got[folder] / all[folder], all[folder]
  }' | sort
