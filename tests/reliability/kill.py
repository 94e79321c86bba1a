"""Kills commands at seeded random moments, lets them finish, and holds what they leave against an undisturbed run.

`python -m tests.reliability.kill prepare --rounds 200` does so for long; `prepare-archive` reads a .tar, which is
repacked first; `run` trains two stages and evaluates; `--seed` draws other moments. Linux only.

A round is a fresh folder: the command is started and killed one to three times, then runs to its end. The whole process
group gets SIGKILL, or the command alone, or (prepare) one of its workers; the moment is drawn evenly over the processor
time that the undisturbed command took, nine of ten from when it had written its first file.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.stage import clip_names
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.preparation.prepare import prepare
from tests.datasets.archive_writers import write_tar
from tests.reliability.command import Job, all_gone, kill_group, load, members, prepare_arguments, run_arguments
from tests.reliability.state import difference, state

KILLS = 3
"""At most so many in a round."""
EARLY = 0.1
"""Share of kills that may come before the first file is written: there, a command has nothing to lose yet."""
CLIPS = {"prepare": 24, "prepare-archive": 24, "run": 36}
KINDS = {what: ("group", "command", "worker") if what.startswith("prepare") else ("group",) for what in CLIPS}


class Different(AssertionError):
    """A command that was killed and then finished left something else than an undisturbed one, or said nonsense."""


@dataclass(frozen=True)
class Undisturbed:
    """What an undisturbed command took and left."""

    first_file: float  # seconds of processor time until it had written something
    seconds: float  # in all
    state: dict[str, Any]


@dataclass
class Tally:
    """What was done: rounds, kills of each kind, commands that had ended before their kill, what kills left behind."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    late: int = 0
    left: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} of the {kind}" for kind, count in sorted(self.kills.items()))
        left = ", ".join(f"{count} {what}" for what, count in sorted(self.left.items())) or "nothing"
        kills = f"{self.kills.total()} kills ({kinds}; {self.late} came after the end)"
        return f"{self.rounds} rounds, {kills}; at hand after a kill: {left}"


def undisturbed(arguments: Sequence[str], folder: Path) -> Undisturbed:
    """Runs a command to its end in a folder."""
    job, first_file, seconds = Job(arguments, folder), 0.0, 0.0
    while job.poll() is None:
        seconds = max(seconds, processor_seconds(job.pid))
        if not first_file and any(path.is_dir() for path in folder.iterdir()):
            first_file = seconds
        time.sleep(0.001)
    if job.wait() != 0:
        raise Different(f"undisturbed, it failed: {job.told()}")
    return Undisturbed(first_file, seconds, state(folder))


def processor_seconds(pid: int) -> float:
    """Processor time that a process and its children, as far as they live, have taken: steadier than a busy clock."""
    taken = 0
    with suppress(OSError):
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        taken += sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        for child in " ".join((task / "children").read_text() for task in tasks).split():
            with suppress(OSError):
                taken += int(Path(f"/proc/{child}/schedstat").read_text().split()[0])
    return taken / 1e9


def one_round(
    arguments: Sequence[str], folder: Path, before: Undisturbed, draw: random.Random, tally: Tally, kinds: Sequence[str]
) -> None:
    """Kills a command a few times in a fresh folder, lets it finish, compares.

    Raises:
        Different: it failed, left something else than the undisturbed one, or a process outlived its kill.
    """
    moments = []
    for _ in range(draw.randint(1, KILLS)):
        kind = draw.choice(kinds)
        early = draw.random() < EARLY
        moment = draw.uniform(0.0 if early else before.first_file, before.seconds)
        moments.append(f"{kind} at {moment:.3f} s")
        job = Job(arguments, folder)
        while processor_seconds(job.pid) < moment and job.poll() is None:
            time.sleep(0.0005)
        if job.poll() is not None:
            tally.late += 1
        else:
            _kill(job, kind, draw, tally)
        if not all_gone(job.pid):
            kill_group(job.pid)
            raise Different(f"{moments}: a worker outlived its command")
        tally.left.update(
            path.suffix.lstrip(".") for path in folder.rglob(".*") if path.suffix in (".partial", ".holder")
        )
    job = Job(arguments, folder)
    if job.wait() != 0:
        raise Different(f"{moments}: afterwards it failed: {job.told()}")
    if told := difference(before.state, state(folder)):
        raise Different(f"{moments}: {told}")
    tally.rounds += 1


def _kill(job: Job, kind: str, draw: random.Random, tally: Tally) -> None:
    workers = members(job.pid)
    if kind == "worker" and workers:
        with suppress(ProcessLookupError):
            os.kill(draw.choice(workers), signal.SIGKILL)
        if job.wait() == 0:  # the worker had done all that it was needed for
            tally.late += 1
            return
        told = job.told()
        if "a worker was killed" not in told or "Traceback" in told or job.wait() != 1:
            raise Different(f"a killed worker is told of so (exit code {job.wait()}): {told}")
        tally.kills["worker"] += 1
        return
    if kind == "group":
        kill_group(job.pid)
    else:
        os.kill(job.pid, signal.SIGKILL)
        kind = "command"
    job.wait()
    tally.kills[kind] += 1


def made_up_raw(folder: Path, clips: int) -> Path:
    """Raw files of made-up actors."""
    write_raw(folder, clip_names((1, 2), actions=(8, 9, 23, 58), limit=clips))
    return folder


def rounds(what: str, count: int, seed: int, folder: Path) -> Tally:
    """So many rounds of `prepare` or `run`."""
    raw = made_up_raw(folder / "raw", CLIPS[what])
    if what == "run":
        prepare(SYNTHETIC, [raw], folder / "prepared", jobs=1)
        arguments = run_arguments(folder / "prepared")
    else:
        content = {path.name: path.read_bytes() for path in sorted(raw.iterdir())}
        arguments = prepare_arguments(raw if what == "prepare" else write_tar(folder / "raw.tar", content))
    undisturbed(arguments, folder / "first")  # what is slow only once is over
    before = undisturbed(arguments, folder / "undisturbed")
    print(f"undisturbed: {before.seconds:.2f} s, {len(before.state)} files", flush=True)
    draw, tally = random.Random(seed), Tally()
    for number in range(count):
        place = folder / f"round{number}"
        one_round(arguments, place, before, draw, tally, KINDS[what])
        shutil.rmtree(place)
        if number % 10 == 9:
            print(tally, flush=True)
    return tally


def main() -> None:
    """The command of this file."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability.kill", description=__doc__)
    parser.add_argument("what", choices=tuple(KINDS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    load()
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(rounds(options.what, options.rounds, options.seed, Path(folder)))
        except Different as error:
            sys.exit(f"{options.what}, seed {options.seed}: {error}")


if __name__ == "__main__":
    main()
