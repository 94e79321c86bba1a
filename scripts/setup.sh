#!/usr/bin/env bash
# Makes a virtual environment and installs stars-bench into it: every package in the version, and with the hash, that
# locks/ names. A PyTorch that the environment already has stays.
# Usage: bash scripts/setup.sh VENV [dev] [docs]
set -euo pipefail
cd "$(dirname "$0")/.."
venv="$1"
shift
tools=()
for part in "$@"; do tools+=(-r "locks/$part.txt"); done
started=$SECONDS

python="${PYTHON:-$(command -v python3.11 || command -v python3)}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "error: $python is older than Python 3.11: set PYTHON to a newer one" >&2
    exit 2
}
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"

install() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps "$@"
}

echo "== installing stars-bench${1:+ with its tools} into $venv (a few minutes; PyTorch is the large part)"
install --require-hashes -r locks/run.txt ${tools[@]+"${tools[@]}"}
"$venv/bin/python" -c 'import torch' 2>/dev/null ||
    install --require-hashes -r locks/torch-cpu.txt 2>/dev/null ||
    install --require-hashes -r locks/torch.txt
# PyTorch's build for CUDA needs packages that no other does.
if "$venv/bin/python" - <<'PYTHON'
import importlib.metadata, sys
sys.exit(not any(line.startswith(("nvidia-", "cuda-")) for line in importlib.metadata.requires("torch") or ()))
PYTHON
then
    install --require-hashes -r locks/cuda.txt
fi
install --no-build-isolation --editable .
"$venv/bin/python" -m pip check --disable-pip-version-check
echo "== installed in $((SECONDS - started)) s"
