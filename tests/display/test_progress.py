"""Progress where there is no terminal: a line when a task ends, however often it is said to have ended."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from rich.console import Console

from stars_bench.datasets.raw_files.repack import repacked
from stars_bench.datasets.raw_files.sources import EVERYTHING
from stars_bench.display.progress import Bars


def test_an_end_is_printed_once(tmp_path: Path) -> None:
    out = io.StringIO()
    archive = tmp_path / "small.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        for number in range(500):
            packed.addfile(tarfile.TarInfo(f"S{number:03}.skeleton"))
    with Bars(Console(file=out, width=80)) as bars:
        repacked(archive, EVERYTHING, tmp_path / "scratch", bars)
        for _ in range(2):  # the same task again, of another seed
            for done in (0, 1, 2, 2, 2):
                bars("read shards", done, 2)
            bars("nothing", 0, 0)
    assert out.getvalue().splitlines() == [
        "unpack small.tar.gz (MB): 1 of 1",
        "read shards: 2 of 2",
        "nothing: 0 of 0",
        "read shards: 2 of 2",
    ]
