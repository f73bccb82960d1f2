#!/usr/bin/env bash
# Sluice and Apache Kafka 4.3 itself, brought from Maven, field by field; the recorded answers are compared too.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
tests/compare/run build/test/bin/sluice --kafka
tests/compare/telemetry build/test/bin/sluice
