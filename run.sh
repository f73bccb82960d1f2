#!/usr/bin/env bash
# run.sh: on a fresh Debian 12: installs what is missing, builds a release, starts the broker.
#
#   ./run.sh                     starts `sluice serve --dev`
#   ./run.sh --build-only        stops after the build
#   ./run.sh ARGUMENTS…          other arguments go to `sluice serve`
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
. .ci/common.sh

build_only=no
if [ "${1:-}" = --build-only ]; then
  build_only=yes
  shift
fi

phase "Debian packages" install_missing "${BUILD_PACKAGES[@]}" kcat
phase "build" configure_and_build release build
say "ready after $SECONDS s: build/bin/sluice"
[ "$build_only" = yes ] && exit 0

[ $# -gt 0 ] || set -- --dev
cat <<TEXT

Next, in a second terminal in this folder:

  ${BOLD}cp examples/mask_lua/mask.lua var/plugins/${PLAIN}
  ${BOLD}echo '{"card":"4111 1111 1111 1111","id":9007199254740993}' | kcat -P -b localhost:9092 -t orders${PLAIN}
  ${BOLD}kcat -C -b localhost:9092 -t orders.masked -o beginning -e${PLAIN}

TEXT
say "sluice serve $*   (Ctrl-C stops it)"
exec build/bin/sluice serve "$@"
