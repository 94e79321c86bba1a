#!/usr/bin/env bash
# From a clean clone to the tests: installs with the development tools into .venv (or $VENV), then runs the tests, but
# for the slow ones, which `bash scripts/test.sh -m slow` runs.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
venv="${VENV:-.venv}"
bash scripts/setup.sh "$venv" dev
echo "== pytest, one process a core (minutes on two cores)"
"$venv/bin/python" -m pytest -n auto -m "not slow" "$@"
echo "== done in $((SECONDS - started)) s"
