#!/usr/bin/env bash
# interop.sh: all clients of tests/interop with all their checks; its table goes into docs/clients.md when nothing failed.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. .ci/common.sh
configure_and_build test build/test
exec tests/interop/run build/test/bin/sluice --whole --table docs/clients.md
