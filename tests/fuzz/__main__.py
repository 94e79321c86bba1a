"""`python -m tests.fuzz PARSER --seconds 60`: reads damaged files without end, guided by which code they reach.

Guided by atheris (`pip install -e .[fuzz]`; there are wheels for Linux); without it hypothesis drives the same parser.
A finding is written to `--keep` and ends the run with its traceback; made smaller it belongs into `FOUND`.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

EVERY = 2  # seconds between two lines on how far it is


def main() -> None:
    """Drives one target and says how often it was run and how many files were refused."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("parser", help="one of tests/fuzz/targets.py")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--without-atheris", action="store_true", help="drive it by hypothesis")
    options = parser.parse_args()
    guided = atheris is not None and not options.without_atheris
    if guided:
        with atheris.instrument_imports(include=["stars_bench", "pickletools"]):
            from tests.fuzz.targets import TARGETS, survive
    else:
        from tests.fuzz.targets import TARGETS, survive
    if options.parser not in TARGETS:
        parser.error(f"there are {', '.join(TARGETS)}")
    target, counts = TARGETS[options.parser], {"run": 0, "refused": 0}
    started = told = time.monotonic()

    with tempfile.TemporaryDirectory() as scratch:

        def one(data: bytes) -> None:
            nonlocal told
            counts["run"] += 1
            if time.monotonic() > told + EVERY:  # libFuzzer ends the process, so that nothing can be said at the end
                told = time.monotonic()
                tell()
            try:
                counts["refused"] += survive(target, data, folder) is not None
            except BaseException as error:
                options.keep.mkdir(parents=True, exist_ok=True)
                file = options.keep / f"{options.parser}-{hashlib.sha256(data).hexdigest()[:12]}"
                file.write_bytes(data)
                print(f"FOUND {file}: {type(error).__name__}: {error}", flush=True)
                raise

        def tell() -> None:
            seconds = time.monotonic() - started
            print(
                f"{options.parser}: {counts['run']:,} files, {counts['refused']:,} refused, {seconds:.0f} s", flush=True
            )

        folder, corpus = Path(scratch, "folder"), Path(scratch, "corpus")
        folder.mkdir()
        corpus.mkdir()
        for number, seed in enumerate(target.seeds()):
            one(seed)
            (corpus / f"{number:03}").write_bytes(seed)
        if guided:
            drive_by_coverage(one, corpus, options.seconds, options.seed)
        else:
            drive_by_hypothesis(one, target.seeds(), options.seconds, options.seed)
            tell()


def drive_by_coverage(one: Callable[[bytes], None], corpus: Path, seconds: int, seed: int) -> None:
    """Runs libFuzzer in this process, and ends it."""
    limits = [
        f"-artifact_prefix={corpus.parent}/",
        "-max_len=32768",
        "-timeout=20",
        "-rss_limit_mb=4096",
        "-print_final_stats=0",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={seconds}", f"-seed={seed}", *limits], one)
    atheris.Fuzz()


def drive_by_hypothesis(one: Callable[[bytes], None], seeds: list[bytes], seconds: int, first: int) -> None:
    """Runs hypothesis in rounds of a thousand files, each from the next seed."""
    from hypothesis import HealthCheck, Phase, given, seed, settings

    from tests.fuzz.damage import damaged

    until, number = time.monotonic() + seconds, first
    while time.monotonic() < until:
        rules = settings(
            max_examples=1_000, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=HealthCheck
        )
        seed(number)(rules(given(damaged(seeds))(one)))()
        number += 1


if __name__ == "__main__":
    main()
