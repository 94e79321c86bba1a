"""The whole pipeline on a laptop: synthetic actors, raw files, shards, three methods, two evaluations, one table."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.stage import clip_names
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.display.progress import Bars
from stars_bench.display.training_panel import RunPanel
from stars_bench.experiments import runner
from stars_bench.experiments.request import Request
from stars_bench.preparation.prepare import prepare
from stars_bench.records.record import Record
from stars_bench.records.store import located
from stars_bench.report import terminal
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.training import memory

CLIPS = 360
METHODS = ("untrained", "mamp", "stars")
BASELINE = "mamp"
PROTOCOL = "xsub"

WHAT_IT_SHOWS = """\
[bold]What this table shows[/]: training works, and all steps fit together.
It cannot show whether stars is better than mamp: 126 test clips of 11 persons show
differences of some ten points, and the paper's gain is smaller (docs/claims.md)."""

NEXT_STEPS = """\
[bold]Next, with real data[/] (NTU RGB+D or PKU-MMD, from their owners, under licence):
  stars-bench prepare ntu60 --raw nturgbd_skeletons_s001_to_s017.zip
  stars-bench run stars --protocol xsub      [dim]# as in the paper; wants a GPU[/]
  stars-bench report                         [dim]# beside the published numbers[/]"""


def quickstart(folder: Path, console: Console, jobs: int | None = None, seed: int = 0) -> list[Record]:
    """Run every step below `folder` and print it; the same call again resumes where it stopped."""
    started = time.monotonic()
    console.print(f"[bold]stars-bench quick start[/] in {folder}\nabout three minutes on two cores\n")
    with Bars(console) as bars:
        names = clip_names(limit=CLIPS)
        write_raw(folder / "raw", names, progress=lambda done, total: bars("write raw clips", done, total))
        prepare(
            SYNTHETIC,
            [folder / "raw"],
            folder / "data",
            jobs=jobs,
            progress=lambda done, total, aside: bars("prepare", done, total, f"{aside} set aside"),
            find_progress=bars,
        )
    records = []
    for method in METHODS:
        request = Request(
            method=method,
            protocol=PROTOCOL,
            dataset=SYNTHETIC.name,
            preset="quick",
            seeds=(seed,),
            data_dir=folder / "data",
            runs_dir=folder / "runs",
            command=f"stars-bench quickstart --dir {folder} --seed {seed}",
        )
        console.print(f"[bold]{method}[/]")
        with RunPanel(console, f"{method} · {SYNTHETIC.name} {PROTOCOL}", memory.peak) as panel:
            records += runner.run(request, panel)
    console.print()
    board = Leaderboard.of(located(records, folder / "runs"), baseline=BASELINE)
    console.print(terminal.render(board.tables, console.width))
    console.print(WHAT_IT_SHOWS)
    console.print(f"\n{time.monotonic() - started:.0f} s in all. Records and features: {folder / 'runs'}\n")
    console.print(NEXT_STEPS)
    return records
