#!/usr/bin/env bash
# From a clean clone to the tests: installs with the development tools, then runs them all.
# Usage: bash scripts/test.sh [VENV] [pytest options]
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
venv="${1:-.venv}"
shift || true
bash scripts/setup.sh "$venv" dev
echo "== pytest (about five minutes on two cores)"
"$venv/bin/python" -m pytest "$@"
echo "== done in $((SECONDS - started)) s"
