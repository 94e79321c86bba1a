#!/usr/bin/env bash
# Makes a virtual environment and installs stars-bench into it, with the versions of constraints.txt.
# Usage: bash scripts/setup.sh VENV [EXTRA]
set -euo pipefail
cd "$(dirname "$0")/.."
venv="$1"
extra="${2:+[$2]}"
started=$SECONDS

python="${PYTHON:-$(command -v python3.11 || command -v python3)}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: $python is older than Python 3.11: set PYTHON to a newer one" >&2
    exit 2
}
echo "== installing stars-bench$extra into $venv (a few minutes; PyTorch is the large part)"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".$extra"
echo "== installed in $((SECONDS - started)) s"
