#!/usr/bin/env bash
# Everything that is to be measured on a GPU, in under eight minutes; parts that are done are skipped the next time.
#   bash benchmarks/gpu_report.sh                        on the first GPU
#   bash benchmarks/gpu_report.sh --device cpu --small   a rehearsal without one
# Options: python -m benchmarks.gpu_report --help
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python}" -m benchmarks.gpu_report "$@"
