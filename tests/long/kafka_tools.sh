#!/usr/bin/env bash
# kafka_tools.sh: Apache Kafka's own command-line tools, Kafka Streams and Kafka Connect against one broker.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
. .ci/common.sh
configure_and_build test build/test
exec tests/interop/kafka_tools/run build/test/bin/sluice
