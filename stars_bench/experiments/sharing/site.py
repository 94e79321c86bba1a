"""A site of results from runs and packs: every entry is verified first, and what fails is listed with the reason.

All entries go through a pack: what the pages show is what can be downloaded, without places of this machine.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from stars_bench.display.blocks import Inspection, Notes
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.finished.audit import Audit, audit_each
from stars_bench.experiments.sharing.gathered import packs
from stars_bench.experiments.sharing.pack import pack
from stars_bench.experiments.sharing.private_text import shortened
from stars_bench.experiments.sharing.site_pages import COMMAND, Entry, index_page, run_page
from stars_bench.experiments.sharing.unpack import unpack
from stars_bench.inspection.run import inspect_run
from stars_bench.io.files import alone_in, partial_path, path_part, replace_folder, write_text
from stars_bench.io.outputs import HEAD, mark
from stars_bench.io.run_folder import RunFolder, run_folders
from stars_bench.records import store
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.training.loop import Progress

TITLE = "Skeleton-based action recognition: results"
INDEX, TABLE, RUNS, PACKS = "index.html", "leaderboard.csv", "runs", "packs"
OWN = re.compile("|".join(map(re.escape, (INDEX, TABLE, RUNS, PACKS))))
"""What a site consists of; other files of its folder stay."""


@dataclass(frozen=True)
class SiteReport:
    """What a site shows.

    Args:
        index: Its first page.
        entries: Its runs.
        left_out: One line for each entry that is not shown: which, and why.
    """

    index: Path
    entries: tuple[Entry, ...]
    left_out: tuple[str, ...]


def site(
    places: Sequence[Path],
    out: Path,
    data_dir: Path,
    *,
    title: str = TITLE,
    overwrite: bool = False,
    progress: Progress | None = None,
    **choices: str | Path | None,
) -> SiteReport:
    """Write a site.

    Args:
        places: Folders of runs, packs, and folders of packs.
        out: Its folder; of a site that is there, all pages are replaced, and other files stay.
        data_dir: Prepared data, for what they can verify.
        title: Heading.
        overwrite: Whether a folder is taken that holds something else. Default: False.
        progress: Called while data are verified. Default: None.
        choices: What is in the table and how, as the arguments of `Leaderboard.of`.

    Raises:
        UsageError: A place does not exist, or the folder holds something else.
        StarsBenchError: Nothing could be verified.
    """
    _check_out(out, overwrite)
    if gone := [place for place in places if not place.exists()]:
        raise UsageError(f"{gone[0]}: there is no such folder of runs, and no such pack")
    with TemporaryDirectory(prefix="stars-bench-site-") as scratch:
        runs = Path(scratch) / "runs"
        left_out = _unpacked(places, runs, Path(scratch))
        shown, faults = _verified(runs, data_dir, progress)
        left_out += faults
        if not shown:
            why = f": {left_out[0]}" if left_out else ""
            raise StarsBenchError(f"nothing to show: of {len(left_out)} entries none could be verified{why}")
        out.parent.mkdir(parents=True, exist_ok=True)
        with alone_in(out):
            new = partial_path(out)
            try:
                entries = _write(new, runs, shown, left_out, title, choices)
                replace_folder(new, out, OWN)
            finally:
                shutil.rmtree(new, ignore_errors=True)
    return SiteReport(out / INDEX, tuple(entries), tuple(left_out))


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out}: is a file; a site is a folder")
    if overwrite or not out.exists() or not any(out.iterdir()):
        return
    index = out / INDEX
    if not index.is_file() or mark(COMMAND).encode() not in index.read_bytes()[:HEAD]:
        raise UsageError(f"--out {out}: holds something else than a site of stars-bench report; --force writes into it")


def _unpacked(places: Sequence[Path], runs: Path, scratch: Path) -> list[str]:
    """Unpack packs, and runs by way of a pack, into one folder; return a line for each that cannot be."""
    left_out, own = [], scratch / "own.zip"
    for folder in (folder for place in places if place.is_dir() for folder in run_folders(place)):
        try:
            if folder.record_files():
                pack([folder.path], own)
                unpack(own, runs)
        except StarsBenchError as error:
            left_out.append(_told(error, scratch, folder.run))
    for file in packs(places):
        try:
            unpack(file, runs)
        except StarsBenchError as error:
            left_out.append(_told(error, scratch, file.parent))
    return left_out


def _told(error: StarsBenchError, scratch: Path, folder: Path) -> str:
    """Say why without a place of this machine: a site is for everybody."""
    return shortened(str(error).replace(f"{scratch}/", "").replace(f"{folder}/", ""))


def _verified(
    runs: Path, data_dir: Path, progress: Progress | None
) -> tuple[dict[Path, list[tuple[RunFolder, Audit]]], list[str]]:
    """Return the seeds of each run that are what their records say, and a line for each that is not."""
    shown: dict[Path, list[tuple[RunFolder, Audit]]] = {}
    left_out = []
    for path, found in audit_each([folder.path for folder in run_folders(runs)], data_dir, progress):
        if found.faults:
            more = f" (and {len(found.faults) - 1} more)" if len(found.faults) > 1 else ""
            name = path.relative_to(runs).as_posix()
            fault = found.faults[0].replace(f"{path}/", "").replace(f"{runs}/", "")
            left_out.append(f"{name}: {shortened(fault)}{more}")
            shutil.rmtree(path)  # so that no page of its run shows it
        else:
            shown.setdefault(path.parent, []).append((RunFolder(path), found))
    return shown, left_out


def _write(
    out: Path,
    runs: Path,
    shown: dict[Path, list[tuple[RunFolder, Audit]]],
    left_out: Sequence[str],
    title: str,
    choices: dict[str, str | Path | None],
) -> list[Entry]:
    stored: list[StoredRecord] = []
    entries = []
    for run, seeds in shown.items():
        own = [one for folder, _ in seeds for one in store.read_records(folder.path).stored]
        name = "-".join(path_part(part) for part in run.relative_to(runs).parts)
        (out / PACKS).mkdir(parents=True, exist_ok=True)
        made = pack([folder.path for folder, _ in seeds], out / PACKS / f"{name}.zip")
        entry = _entry(name, own[0].record, seeds, made.size)
        inspection = _inspection(run, [audit for _, audit in seeds], runs)
        write_text(out / entry.page, run_page(title, entry, inspection))
        entries.append(entry)
        stored += own
    board = Leaderboard.of(stored, **choices)  # type: ignore[arg-type]
    write_text(out / INDEX, index_page(title, board.tables, entries, left_out))
    write_text(out / TABLE, board.to_csv())
    return entries


def _entry(name: str, record: Record, seeds: Sequence[tuple[RunFolder, Audit]], size: int) -> Entry:
    stream = "" if record.dataset.stream == "joint" else f", {record.dataset.stream}s"
    looked_at = sum(audit.looked_at["metrics"] for _, audit in seeds)
    return Entry(
        name=name,
        title=f"{record.method.name}, {record.method.preset}",
        data=f"{record.dataset.name} {record.protocol.name}{stream}",
        seeds=", ".join(str(folder.seed) for folder, _ in seeds),
        verified=f"{looked_at:,} numbers",
        megabytes=size / 1e6,
    )


def _inspection(run: Path, audits: Sequence[Audit], runs: Path) -> Inspection:
    """Describe a run, and what was verified of it."""
    found = inspect_run(run)
    counts = sum((audit.looked_at for audit in audits), start=type(audits[0].looked_at)())
    lines = [f"verified: {', '.join(f'{count:,} {name}' for name, count in counts.items() if count)}"]
    skipped = dict.fromkeys(shortened(line.replace(f"{runs}/", "")) for audit in audits for line in audit.skipped)
    lines += [f"not looked at: {line}" for line in skipped]
    name = run.relative_to(runs).as_posix()
    return replace(found, subtitle=name, blocks=(Notes(tuple(lines), "list"), *found.blocks))
