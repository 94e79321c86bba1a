"""Run the same commands in two checkouts and compare what they write, bit by bit.

    python scripts/same_results.py BEFORE AFTER [--real FOLDER] [--work FOLDER]

BEFORE and AFTER are folders of checkouts that the running Python can import from. Compared are the bytes of all shards,
the arrays of all saved predictions, the tensors of all encoders, and all metrics. The output is a Markdown table; the
exit status is 1 where anything differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

METHODS = (
    "untrained", "raw", "mamp", "mae", "stars", "stars-3stage", "stars+flip", "moco-tuning", "dino-tuning",
    "mamp+nnclr", "nnclr-scratch", "supervised", "stgcn", "ctrgcn", "skeletonclr", "aimclr",
    "s-jepa", "hiclr", "cmd", "umurl", "usdrl",
)  # fmt: skip
EPOCHS = {"untrained": (), "raw": (), "nnclr-scratch": ("tune_epochs=1",)}
"""Settings that make a method short, where these are not its epochs."""
EVALUATIONS = ("knn", "linear", "clusters")


def stars_bench(checkout: Path, folder: Path, *arguments: str) -> None:
    """Run a command of a checkout in `folder`, on one thread."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    command = [sys.executable, "-m", "stars_bench", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{checkout}: stars-bench {' '.join(arguments)}\n{done.stdout}{done.stderr}")


def everything(checkout: Path, folder: Path, raw: Path, real: Path | None) -> None:
    """Prepare, train and evaluate in `folder`; shards name the folder of raw files, so both read the same one."""
    folder.mkdir(parents=True, exist_ok=True)
    stars_bench(checkout, folder, "prepare", "synthetic", "--clips", "120", "--jobs", "1")
    for profile in ("mamp", "pyskl", "raw"):
        stars_bench(checkout, folder, "prepare", "ntu120", "--raw", str(raw), "--profile", profile)
    if real is not None:
        stars_bench(checkout, folder, "prepare", "pku1", "--raw", str(real / "pku1_subset.zip"))
    for method in METHODS:
        chosen = [f"--set={item}" for item in EPOCHS.get(method, ("epochs=1",))]
        evaluations = [f"--eval={name}" for name in EVALUATIONS]
        place = ("--dataset", "synthetic", "--protocol", "xsub", "--preset", "quick", "--device", "cpu")
        stars_bench(checkout, folder, "run", method, *place, *chosen, "--set=linear.epochs=3", *evaluations)
    for command in (("finetune", "finetune.epochs=2"), ("semi", "semi.epochs=2")):
        place = ("--dataset", "synthetic", "--protocol", "xsub", "--preset", "quick", "--device", "cpu")
        stars_bench(checkout, folder, "run", "untrained", *place, f"--eval={command[0]}", f"--set={command[1]}")


def shards(folder: Path) -> dict[str, Any]:
    """Digest of each shard."""
    paths = sorted((folder / "data").rglob("*.h5"))
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def results(folder: Path) -> dict[str, tuple[dict[str, Any], Path]]:
    """Records by what they measure, with the folder of their seed."""
    found = {}
    for path in sorted((folder / "runs").glob("*/*/*/*/seed*/records/*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        evaluation = record["evaluation"]
        name = f"{record['method']['name']} {evaluation['name']} {json.dumps(evaluation['settings'], sort_keys=True)}"
        found[name] = record, path.parents[1]
    return found


def predictions(folder: Path) -> dict[str, Any]:
    """Digest of the arrays of each saved prediction, without those that describe clips (added later)."""
    named = {}
    for name, (record, place) in results(folder).items():
        with np.load(place / record["predictions"]["file"]) as file:
            arrays = {key: file[key] for key in file.files if key in ("predictions", "scores", "by_epoch", "rows")}
        hasher = hashlib.sha256()
        for key, value in sorted(arrays.items()):
            hasher.update(f"{key} {value.dtype} {value.shape}".encode() + value.tobytes())
        named[name] = hasher.hexdigest()
    return named


def metrics(folder: Path) -> dict[str, Any]:
    """All measured values, to ten decimals: the order in which numbers are added is free."""
    return {
        f"{name} {metric['name']}": round(metric["value"], 10)
        for name, (record, _) in results(folder).items()
        for metric in record["metrics"]
    }


def encoders(folder: Path) -> dict[str, Any]:
    """Digest of the tensors of each encoder."""
    named = {}
    for name, (_, place) in results(folder).items():
        state = torch.load(place / "encoder.pt", weights_only=True)["encoder"]
        hasher = hashlib.sha256()
        for key, value in sorted(state.items()):
            hasher.update(key.encode() + value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        named[name.split()[0]] = hasher.hexdigest()
    return named


def main() -> None:
    """Print one row a kind of file: how many were compared, how many differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--real", type=Path, help="folder with pku1_subset.zip")
    parser.add_argument("--work", type=Path, help="where to keep what is written; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).absolute()
        raw = arguments.before.absolute() / "tests" / "golden" / "raw"
        for name in ("before", "after"):
            everything(getattr(arguments, name).absolute(), work / name, raw, arguments.real)
        different = 0
        print("| what | compared | different |\n|---|---:|---:|")
        kinds: dict[str, Callable[[Path], dict[str, Any]]] = {
            "shards": shards,
            "encoders (tensors)": encoders,
            "predictions (arrays)": predictions,
            "metrics": metrics,
        }
        for title, read in kinds.items():
            before, after = read(work / "before"), read(work / "after")
            unlike = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
            print(f"| {title} | {len(before)} | {len(unlike)} |")
            print("\n".join(f"different: {name}" for name in unlike), file=sys.stderr)
            different += len(unlike)
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
