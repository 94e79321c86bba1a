"""All that is to be measured on a GPU in one run of less than eight minutes: parts in the order of their importance.

Every part is a process of its own with its own time limit, and leaves OUT/PART.json: what it measured, or why it
failed. A part that succeeded is skipped the next time; one that failed runs again. OUT/report.json has all of them, and
`python -m benchmarks.gpu_tables OUT/report.json` prints it as the tables of docs/performance.md.

Usage, at the top of a checkout:
    bash benchmarks/gpu_report.sh [--device cuda] [--small] [--out FOLDER] [--minutes 8] [--only PART ...]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stars_bench.io.files import code_state, utc_now, write_json

LINES_KEPT = 15
"""Last lines of a failed part's output that its file keeps."""
PROGRAM = ("-m", "benchmarks.gpu_parts")
MINUTES = 8.0
"""Of all parts together; the parts' limits are for it, and grow with --minutes."""
LEAST_SECONDS = 5.0
"""With less time left no part is started."""


@dataclass(frozen=True)
class Part:
    """One part: its arguments for `benchmarks.gpu_parts`, and the seconds that it may take."""

    name: str
    seconds: float
    arguments: tuple[str, ...]


def stage1(precision: str, mode: str, batch: int, seconds: float) -> Part:
    """200 steps of stage 1. `mode`: "plain", "default" (`--compile`) or "step"."""
    return Part(f"stage1-{precision}-{mode}-{batch}", seconds, ("stage1", precision, mode, str(batch)))


PARTS = (
    Part("tests", 100, ("tests",)),
    stage1("tf32", "plain", 128, 60),
    stage1("bf16", "plain", 128, 60),
    stage1("bf16", "default", 128, 100),
    stage1("bf16", "step", 128, 100),
    stage1("tf32", "plain", 512, 90),
    stage1("bf16", "plain", 512, 90),
    stage1("bf16", "default", 512, 120),
    stage1("bf16", "plain", 16, 40),
    stage1("bf16", "step", 16, 80),
    Part("stage2", 60, ("stage2", "bf16")),
    Part("features", 40, ("features", "bf16")),
    Part("linear", 60, ("linear", "bf16")),
    Part("row", 120, ("row", "bf16")),
    Part("memory", 60, ("memory", "tf32")),
)


def run_part(part: Part, options: dict[str, Any], out: Path, seconds: float) -> dict[str, Any]:
    """Run a part in at most so many seconds and return what is to be kept of it, written to OUT/PART.json."""
    found = out / f"{part.name}.measured"
    found.unlink(missing_ok=True)
    command = [sys.executable, *PROGRAM, *part.arguments, "--out", str(found)]
    command += ["--device", options["device"], *["--small"] * options["small"]]
    started = time.monotonic()
    log = out / f"{part.name}.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end(process)
    error = None
    if status is None:
        error = f"stopped after {seconds:.0f} s"
    elif status:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        error = "\n".join([f"exit status {status}", *lines[-LINES_KEPT:]])
    kept = {
        "part": part.name,
        "error": error,
        "seconds": round(time.monotonic() - started, 1),
        "written": utc_now(),
        "code": code_state(),
        **options,
        # What a part had measured before it failed is there as well.
        "result": json.loads(found.read_text(encoding="utf-8")) if found.exists() else None,
    }
    found.unlink(missing_ok=True)
    write_json(out / f"{part.name}.json", kept)
    return kept


def end(process: subprocess.Popen[bytes]) -> None:
    """End a part with all processes that it started: compilers among them."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def done_before(part: Part, options: dict[str, Any], out: Path) -> dict[str, Any] | None:
    """What is kept of a part that succeeded under the same options, if it did."""
    path = out / f"{part.name}.json"
    if not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    same = all(kept.get(name) == value for name, value in options.items())
    return kept if same and kept["error"] is None else None


def report(parts: list[Part], options: dict[str, Any], out: Path, minutes: float) -> dict[str, Any]:
    """Run all parts that time allows, write OUT/report.json after each, and return what is in it."""
    out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * minutes
    kept: dict[str, dict[str, Any]] = {}
    for part in parts:
        before = done_before(part, options, out)
        left = deadline - time.monotonic()
        if before is not None:
            kept[part.name], said = before, "done before"
        elif left < LEAST_SECONDS:
            kept[part.name] = {
                "part": part.name,
                "error": f"not started: {minutes:g} minutes were over",
                "result": None,
            }
            said = kept[part.name]["error"]
        else:
            kept[part.name] = run_part(part, options, out, min(part.seconds * minutes / MINUTES, left))
            error = kept[part.name]["error"]
            said = f"{kept[part.name]['seconds']:.0f} s" + (f": {error.splitlines()[0]}" if error else "")
        print(f"{part.name}: {said}", flush=True)
        write_json(out / "report.json", {**options, "parts": list(kept.values())})
    return {**options, "parts": list(kept.values())}


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a small network and few steps: a rehearsal of everything")
    parser.add_argument("--out", type=Path, default=Path("gpu-report"), help="folder of the parts' files")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of all parts together")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], metavar="PART")
    return parser.parse_args()


def main() -> None:
    """Exit status 1 where a part failed or had no time."""
    chosen = options()
    parts = [part for part in PARTS if not chosen.only or part.name in chosen.only]
    found = report(parts, {"device": chosen.device, "small": chosen.small}, chosen.out, chosen.minutes)
    print(f"tables: python -m benchmarks.gpu_tables {chosen.out / 'report.json'}")
    sys.exit(any(part["error"] for part in found["parts"]))


if __name__ == "__main__":
    main()
