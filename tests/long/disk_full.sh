#!/usr/bin/env bash
# disk_full.sh: small tmpfs, ext4, xfs and btrfs get full and come back, by deletion of records, of a topic, and by
# retention, with kill -9 in between (CI: one way back on each). Needs the right to mount; says what it skips.
set -eu
cd "$(dirname "$(readlink -f "$0")")/../.."
. .ci/common.sh
install_missing e2fsprogs xfsprogs btrfs-progs || echo "    some of them cannot be installed"
exec /usr/bin/python3 tests/crash/disk_full.py "$@" --seed "${SLUICE_SEED:-1}" --build "${SLUICE_BUILD_DIR:-build/test}"
