#!/usr/bin/env bash
# Builds the site of the documentation into build/site: installs what that needs into .venv (or $VENV), and fails at a
# link that leads nowhere. Usage: bash scripts/site.sh; with `serve` it also shows the site at http://127.0.0.1:8000.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${VENV:-.venv}"
bash scripts/setup.sh "$venv" dev docs
export PYTHONPATH="$PWD:$PWD/scripts"
"$venv/bin/python" -m mkdocs build --strict --quiet
echo "== the site is in build/site: open build/site/index.html"
if [ "${1:-}" = serve ]; then "$venv/bin/python" -m mkdocs serve; fi
