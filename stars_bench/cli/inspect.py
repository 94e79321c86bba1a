"""Commands that list, describe and check: list, inspect, verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stars_bench import registry
from stars_bench.api import DatasetSpec, Profile
from stars_bench.cli import program
from stars_bench.cli.options import DataDir, RunPath, RunsDir, console
from stars_bench.cli.results import verify_run
from stars_bench.display.progress import Bars
from stars_bench.errors import StarsBenchError, UsageError

if TYPE_CHECKING:
    from stars_bench.display.blocks import Inspection
    from stars_bench.inspection.runs import ListedRun
    from stars_bench.storage.shards import PreparedDataset

PROFILES, PRESETS, RUNS = "profiles", "presets", "runs"


def list_names(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help="What to list: datasets, profiles, protocols, methods, evaluations, presets or runs.",
            autocompletion=program.offer_kinds,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Argument(
            metavar="METHOD",
            help="For methods: print all facts of this method. For presets: only those of this method.",
            autocompletion=program.offer_methods,
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="For profiles: print all parameters.")] = False,
    of_method: Annotated[
        str | None,
        typer.Option(
            "--method", metavar="NAME", help="For runs: only of this method.", autocompletion=program.offer_methods
        ),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="For runs: only on this dataset.", autocompletion=program.offer_datasets),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="For runs: only under this protocol.", autocompletion=program.offer_protocols
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="For runs: only those finished on this day (2026-11-29) or later.")
    ] = None,
    tag: Annotated[
        str | None, typer.Option(metavar="WORD", help="For runs: only with this tag (`run --tag`, `note --tag`).")
    ] = None,
    data_dir: DataDir = Path("data"),
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """List datasets (and which are prepared), protocols, methods, evaluations and runs. Includes plug-ins.

    `list profiles -v`: how each profile of each dataset cleans, with every parameter.

    `list methods NAME`: the papers, presets and official checkpoints of a method.

    `list presets`: the cost of each preset.

    `list runs --since 2026-11-22`: the runs that finished since that day, the newest first.
    """
    from stars_bench.storage.shards import prepared_datasets

    kinds = list(registry.BUILT_IN)
    if kind not in (None, PROFILES, PRESETS, RUNS, *kinds):
        raise UsageError(f"there is no list of {kind!r}: {', '.join([*kinds, PROFILES, PRESETS, RUNS])}")
    if method is not None and kind not in ("methods", PRESETS):
        raise UsageError(f"list {kind} {method}: a METHOD is for list methods and list presets")
    filters = {"method": of_method, "dataset": dataset, "protocol": protocol, "since": since, "tag": tag}
    if kind == RUNS:
        _list_runs(runs_dir, filters)
        return
    if given := [f"--{name}" for name, value in filters.items() if value is not None]:
        raise UsageError(f"{', '.join(given)}: for list runs")
    prepared = {(found.name, found.profile.name) for found in prepared_datasets(data_dir)}
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "what it is"):
        table.add_column(column)
    if method is not None and kind == "methods":
        table.add_row("method", *_facts(method))
    for group in kinds if kind is None else [kind] * (kind in kinds and method is None):
        for name in registry.names(group):
            text = escape(registry.summary(group, name))  # of a class; datasets and protocols are cheap to load
            followed = registry.fact(group, name, "source")
            if not text:
                spec = registry.load(group, name)
                text = escape(spec.title) + _mark(any(dataset == name for dataset, _ in prepared))
                followed = getattr(spec, "source", None)
                if kind == "datasets":
                    text += f"\n[dim]cite: {escape(str(spec.citation))}\nlicence: {escape(spec.licence)}[/]"
            if kind is not None:
                papers = registry.fact(group, name, "citations") or () if group == "methods" else ()
                text += "".join(f"\n[dim]cite: {escape(str(paper))}[/]" for paper in papers)
                recipe = registry.fact(group, name, "recipe") if group == "methods" else None
                if recipe is not None and not recipe.is_common:
                    text += f"\n[dim]--recipe own: {escape(recipe.source)}[/]"
                text += f"\n[dim]source: {escape(followed)}[/]" if followed else ""
            table.add_row(group[:-1], name, text)
    if kind == PROFILES or (verbose and kind in (None, "datasets")):
        for name in registry.names("datasets"):
            spec = registry.load("datasets", name)
            for profile in spec.profiles.values():
                mark = _mark((name, profile.name) in prepared)
                table.add_row("profile", f"{name} {profile.name}", _profile(spec, profile, verbose) + mark)
    for name in ([method] if method else registry.names("methods")) if kind == PRESETS else ():
        table.add_row("preset", *_presets(name))
    console.print(table)


def _list_runs(runs_dir: Path, filters: dict[str, str | None]) -> None:
    from stars_bench.inspection.runs import listed

    found = listed(runs_dir, **filters)
    if not found:
        for line in _why_none(listed(runs_dir), {name: value for name, value in filters.items() if value is not None}):
            console.print(line, markup=False, soft_wrap=True)
        return
    for one in found:
        console.print(Text(str(one.folder), "bold"), soft_wrap=True)  # whole, to be copied
        for fields in _told(one):
            console.print(Padding(Text("\n".join(_lines(fields, console.width - 2))), (0, 0, 0, 2)))
    runs = f"{len(found)} run{'s' * (len(found) != 1)}"
    console.print(f"{runs} under {runs_dir}: `stars-bench show RUN` has settings, numbers and command", markup=False)


def _why_none(runs: Sequence[ListedRun], filters: dict[str, str]) -> Iterator[str]:
    """Yield which filter no run fits, and what would fit."""
    if not runs:
        yield "0 runs: `stars-bench run` makes one, --runs-dir names another folder"
        return
    there = {
        "--method": {one.record.method.name for one in runs},
        "--dataset": {one.record.dataset.name for one in runs},
        "--protocol": {one.record.protocol.name for one in runs},
        "--since": {max(one.record.finished[:10] for one in runs)},
        "--tag": {tag for one in runs for tag in one.notes.tags},
    }
    yield f"0 of {len(runs)} run{'s' * (len(runs) != 1)}"
    for name, value in filters.items():
        option = f"--{name}"
        fits = value <= max(there[option]) if option == "--since" else value in there[option]
        if not fits:
            yield f"{option} {value}: the runs have {', '.join(sorted(there[option])) or 'none'}"


def _lines(fields: Sequence[str], width: int) -> Iterator[str]:
    """Yield fields side by side in lines of a width; none is broken unless it is longer than a line."""
    line = ""
    for field in filter(None, fields):
        if line and len(line) + 2 + len(field) > width:
            yield line
            line = field
        else:
            line = f"{line}  {field}" if line else field
    yield line


def _told(one: ListedRun) -> Iterator[Sequence[str]]:
    """Yield the fields that are listed of a run beside its folder, which names data, protocol and method."""
    record = one.record
    stream = "" if record.dataset.stream == "joint" else record.dataset.stream
    measured = "" if record.protocol.validation is None else f"measured on training {record.protocol.validation}"
    seeds = f"seed{'s' * (len(one.seeds) > 1)} {', '.join(map(str, one.seeds))}"
    tags = f"tags: {', '.join(one.notes.tags)}" if one.notes.tags else ""
    when = record.finished[:16].replace("T", " ")
    yield when, record.method.preset, stream, measured, seeds, tags
    if one.settings:
        yield one.settings
    yield [f"{title} {value:.1f}" for title, value in one.numbers.items()]
    yield from ((note.text,) for note in one.notes.notes)


def _presets(method: str) -> tuple[str, str]:
    """A method's name, the names of its presets, and what its class says that they cost."""
    from stars_bench.experiments.plan import DEFAULT_PRESETS

    found = registry.load("methods", method)
    names = getattr(found.Config, "presets", DEFAULT_PRESETS)
    costs = [f"\n[dim]- {preset}: {escape(str(cost))}[/]" for preset, cost in getattr(found, "costs", {}).items()]
    return found.name, "[bold]" + escape(", ".join(names)) + "[/]" + "".join(costs)


def _facts(method: str) -> tuple[str, str]:
    """A method's name, what it is, and what its class says of itself: papers, presets, official checkpoints."""
    found = registry.load("methods", method)
    lines = [escape((found.__doc__ or "").partition("\n")[0])]
    lines += [f"[dim]cite: {escape(str(paper))}[/]" for paper in getattr(found, "citations", ())]
    if official := vars(found).get("official_checkpoints", ()):
        lines.append(f"[dim]export-checkpoint --format {' or '.join(official)}[/]")
    return found.name, "\n".join([*lines, f"presets: {_presets(method)[1]}"])


def _mark(prepared: bool) -> str:
    return " [green](prepared)[/]" if prepared else ""


def _profile(spec: DatasetSpec, profile: Profile, verbose: bool) -> str:
    default = "[bold]default[/]: " if profile.name == spec.default_profile else ""
    text = default + escape(profile.summary)
    if verbose:
        parameters = {**profile.parameters, "absent_body": profile.absent_body}
        text += "\n[dim]" + escape(", ".join(f"{key}={value}" for key, value in parameters.items())) + "[/]"
    return text


def inspect(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A prepared dataset (name or folder), a raw file (also ARCHIVE.zip:MEMBER), a shard (.h5), or a run.",
            autocompletion=program.offer_datasets_and_runs,
        ),
    ],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a self-contained page to this file.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Print every class, subject and setup with its number of clips.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that stars-bench did not write.")] = False,
    data_dir: DataDir = Path("data"),
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Cleaning profile, if the dataset is prepared with several.")
    ] = None,
) -> None:
    """Describe a prepared dataset, a raw file (.skeleton; PKU-MMD's videos, labels, splits), a shard, or a run.

    **A dataset:** clips by class, subject, camera and setup, lengths, bodies, what the cleaning removed.

    **A raw file:** frames, bodies, tracking states, ranges and motion, what looks wrong, and what each profile would
    remove.

    **A run:** stages and what they depend on, learning curves, results.
    """
    from stars_bench.display import blocks_terminal, inspection
    from stars_bench.io.outputs import write_outputs

    found = _inspected(what, data_dir, profile)
    if html is None:
        console.print(blocks_terminal.to_rich(found, everything))
        return
    write_outputs({html: inspection.to_html(found)}, "inspect", overwrite=force)
    console.print(f"written: {html}", soft_wrap=True)


def show(
    run: RunPath,
) -> None:
    """Show a run: its settings, command, results, tags and notes."""
    from stars_bench.display import blocks_terminal
    from stars_bench.inspection.run import inspect_run

    console.print(blocks_terminal.to_rich(inspect_run(run), False))


def note(
    run: RunPath,
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="Text of the note.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="WORD", help="Tag, to find the run with `stars-bench list runs --tag`. Repeatable."),
    ] = None,
) -> None:
    """Add a note or tags to a run. They change no result.

    `stars-bench note runs/ntu60/xsub/stars/KEY "the one for the paper" --tag camera-ready`
    """
    from stars_bench.io.run_folder import seeds_of
    from stars_bench.records import notes

    folders = seeds_of(run)
    if not folders:
        raise UsageError(f"{run}: is no run: give runs/DATASET/PROTOCOL/METHOD/KEY (`stars-bench list runs`)")
    if text is None and not tag:
        raise UsageError('say a note, as "lr too high", or --tag WORD')
    found = notes.add(folders[0], tag or (), text)
    tags = f"tags: {', '.join(found.tags)}; " if found.tags else ""
    said = f"{folders[0].run}: {tags}{len(found.notes)} note{'s' * (len(found.notes) != 1)}"
    console.print(said, markup=False, soft_wrap=True)


def _inspected(what: str, data_dir: Path, profile: str | None) -> Inspection:
    from stars_bench.formats.catalog import recognised
    from stars_bench.inspection import dataset as overview
    from stars_bench.inspection import raw_file, run
    from stars_bench.io.run_folder import RunFolder

    path = Path(what)
    if path.suffix.lower() == ".h5":
        return overview.shard_overview(path)
    if what not in registry.names("datasets") and not _is_prepared(path):
        if RunFolder.of_file(path) is not None:
            return run.inspect_run(path)
        if path.suffix.lower() != ".zip" and (format := recognised(path)) is not None:
            raise UsageError(
                f"{what}: clips of another program ({format.name}); "
                f"`stars-bench import {what} --dataset NAME` makes a prepared dataset of them, which can be inspected"
            )
        if path.is_dir():
            return run.inspect_run(path)
        if raw_file.is_raw(what):
            return raw_file.inspection(raw_file.inspect_raw(raw_file.raw_source(what)))
    return overview.overview(_prepared(what, data_dir, profile))


def _is_prepared(folder: Path) -> bool:
    """Whether this is the folder of a prepared dataset: DATA_DIR/DATASET/PROFILE."""
    from stars_bench.storage.shards import INDEX

    return (folder / INDEX).is_file()


def _prepared(what: str, data_dir: Path, profile: str | None) -> PreparedDataset:
    """A prepared dataset by its name or by its folder."""
    from stars_bench.storage.shards import open_dataset

    folder = Path(what).resolve()
    if what in registry.names("datasets") or not _is_prepared(folder):
        return open_dataset(data_dir, what, profile)
    if profile is not None:
        raise UsageError(f"{what}: the folder is of one profile already; leave --profile out")
    return open_dataset(folder.parent.parent, folder.parent.name, folder.name)


def verify(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A prepared dataset (name or folder), or a run.",
            autocompletion=program.offer_datasets_and_runs,
        ),
    ],
    data_dir: DataDir = Path("data"),
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Cleaning profile, if the dataset is prepared with several.")
    ] = None,
    raw: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Also convert these raw files again, and compare. Repeatable."),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the names of missing clips to this file.")
    ] = None,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="For a run: train and evaluate again, and compare weights and metrics.")
    ] = False,
    scratch: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for --rerun, so that it can resume. Default: a temporary folder."),
    ] = None,
) -> None:
    """Check that a prepared dataset, or a run, is complete and unchanged.

    **A dataset:** reads every shard again, and checks checksums of files and clips, offsets, and finite values.
    Prints what is missing from the complete dataset. A partial dataset is not an error.

    **A run's folder**, or a folder of runs: computes every metric again from the saved predictions, and checks every
    checksum (predictions, checkpoints, encoder, lists of clips, data) and the features.

    The exit code is 1 if something is wrong.
    """
    from stars_bench.io.run_folder import RunFolder

    is_run = Path(what).is_dir() or RunFolder.of_file(Path(what)) is not None
    if is_run and what not in registry.names("datasets") and not _is_prepared(Path(what)):
        if profile is not None or raw or names is not None:
            raise UsageError(f"{what}: --profile, --raw and --names are for prepared datasets")
        verify_run(Path(what), data_dir, rerun, scratch)
        return
    if rerun or scratch is not None:
        raise UsageError(f"{what}: --rerun and --scratch are for a run's folder")
    from stars_bench.io.files import write_text
    from stars_bench.preparation import verify as checks

    with Bars(console) as bars:
        report = checks.verify(_prepared(what, data_dir, profile), raw or [], bars)
    console.print(checks.render(report))
    if names is not None:
        write_text(names, "".join(f"{name}\n" for name in report.missing))
        console.print(f"written: {names} ({len(report.missing):,} names)")
    if not report.ok:
        count = "1 fault" if len(report.faults) == 1 else f"{len(report.faults):,} faults"
        raise StarsBenchError(f"{count} (listed above); {report.remedy}")
