"""Writes locks/*.txt: every package that the README's commands install, for all platforms, with its files' hashes.

Run with `uv` at hand (`pip install uv`) after a change of pyproject.toml or constraints.txt: `python scripts/lock.py`.
Needs no GPU and installs nothing; asks the package index alone.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "locks"
WITHOUT_CUDA = "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"
"""SHA-256 of PyTorch's build for Linux without CUDA, torch-*+cpu-cp311-cp311-manylinux_2_28_x86_64.whl.

CI installs it from a file; it is not on the index, which has the CUDA build alone. pip prefers a file whose hash the
index tells, so the two cannot stand in one requirement.
"""
HEADS = {
    "run": "What stars-bench needs, but for PyTorch and what that needs of CUDA.",
    "dev": "What the tests and checks need beside run.txt.",
    "docs": "What the site of the documentation needs beside run.txt and dev.txt.",
    "torch": "PyTorch, from the index.",
    "torch-cpu": "PyTorch for Linux without CUDA, where that file is at hand.",
    "cuda": "What PyTorch's CUDA build for Linux needs beside run.txt.",
}


def compiled(*options: str) -> dict[str, str]:
    """Requirements with hashes, by package name, as uv resolves them for every platform and Python at once."""
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
    command += ["--python-version", "3.11", "--constraint", "constraints.txt", *options, "pyproject.toml"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    blocks = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)
    found: dict[str, str] = {}
    for block in filter(None, blocks):  # a package may have a version for each range of Python
        name = block.partition("==")[0]
        found[name] = found.get(name, "") + block
    return found


def part_of(name: str, needed: dict[str, str], tools: dict[str, str]) -> str:
    """The file that a package belongs to."""
    if name == "torch":
        return "torch"
    if name == "triton" or name.startswith(("nvidia-", "cuda-")):
        return "cuda"
    if name in needed:
        return "run"
    return "dev" if name in tools else "docs"


def main() -> None:
    """Writes the files."""
    needed, tools = compiled(), compiled("--extra", "dev")
    everything = compiled("--extra", "dev", "--extra", "docs")
    LOCKS.mkdir(exist_ok=True)
    for part, head in HEADS.items():
        blocks = [f"# {head} Written by scripts/lock.py.\n"]
        blocks += [everything[name] for name in sorted(everything) if part_of(name, needed, tools) == part]
        if part == "torch-cpu":
            release = everything["torch"].split()[0]
            blocks.append(f"{release}+cpu \\\n    --hash=sha256:{WITHOUT_CUDA}\n")
        (LOCKS / f"{part}.txt").write_text("".join(blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
