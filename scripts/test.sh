#!/usr/bin/env bash
# From a clean clone to the tests: installs with the development tools into .venv (or $VENV), then runs all tests.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
venv="${VENV:-.venv}"
bash scripts/setup.sh "$venv" dev
echo "== pytest, one process a core (minutes on two cores)"
"$venv/bin/python" -m pytest -n auto "$@"
echo "== done in $((SECONDS - started)) s"
