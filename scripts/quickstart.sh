#!/usr/bin/env bash
# From a clean clone to the first table: installs into .venv (or $VENV), then runs `stars-bench quickstart`.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
venv="${VENV:-.venv}"
bash scripts/setup.sh "$venv"
echo "== stars-bench quickstart"
"$venv/bin/stars-bench" quickstart "$@"
echo "== done in $((SECONDS - started)) s; activate the environment with: source $venv/bin/activate"
