"""Commands for the formats of other programs: export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stars_bench.cli import program
from stars_bench.cli.options import DataDir, console, errors
from stars_bench.display.progress import Bars
from stars_bench.errors import StarsBenchError

FormatName = Annotated[
    str, typer.Option("--format", metavar="NAME", help="mamp, pyskl, crossclr, agcn, position-50 ... or mat.")
]


def export(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A prepared dataset: ntu60, ntu120, pku1 ...", autocompletion=program.offer_datasets
        ),
    ],
    format: FormatName,
    out: Annotated[Path, typer.Option(metavar="PATH", help="File to write. For some formats, a folder.")],
    protocol: Annotated[
        str | None, typer.Option(metavar="NAME", help="Protocol: xsub, xview ... Default for pyskl and mat: all.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Cleaning profile of the prepared data. Default: the dataset's own."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Write a prepared dataset in the format of another program.

    **mamp**: the npz of CTR-GCN, MAMP and STARS, with the same clips in the same order. For partial data, a file with
    the names of the clips is written beside it.

    **pyskl**: the pickle of pyskl and MMAction2, also of 2D poses, bit for bit.

    **crossclr**: the folder of CrosSCLR and AimCLR. They use raw data: add `--profile raw`.

    **agcn**: the folder of 2s-AGCN, MS-G3D and CMD, with bones and motion.

    **position-50**, **position-64**: placed and turned clips, like CrosSCLR's train_position.npy.

    **mat**: MATLAB.
    """
    from stars_bench import formats
    from stars_bench.storage.shards import open_dataset

    prepared = open_dataset(data_dir, dataset, profile)
    with Bars(console) as bars:
        report = formats.export(
            prepared,
            format,
            out,
            protocol=protocol,
            overwrite=force,
            progress=lambda done, total: bars(f"export {dataset}", done, total),
        )
    for name, (train, test) in report.clips.items():
        console.print(f"{name}: {train:,} training and {test:,} test clips")
    _print_notes(report.notes, report.warnings)
    console.print(f"{report.out}: {report.size / 1e6:,.1f} MB, {report.seconds:.1f} s", soft_wrap=True)


def import_file(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="An npz, a pickle, a .mat, or a folder of arrays."),
    ],
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Dataset of the clips: ntu60, ntu120, pku1 ...")],
    protocol: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Protocol of the file's train/test split, if the file does not state it."),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="mamp, pyskl, crossclr, agcn or mat. auto: detected from the file."
        ),
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Overwrite data that was imported before.")] = False,
    data_dir: DataDir = Path("data"),
) -> None:
    """Turn a file of another program into a prepared dataset, if you do not have the raw files.

    The dataset is written to DATA_DIR/DATASET/imported-FORMAT. Select it with `--profile imported-FORMAT`. If no other
    data is prepared, you do not need this option. A pickle is read without running its code.
    """
    from stars_bench import formats
    from stars_bench.storage import quality

    with Bars(console) as bars:
        report = formats.import_file(
            file,
            dataset,
            data_dir,
            protocol=protocol,
            format=None if format == "auto" else format,
            overwrite=force,
            progress=lambda done, total, aside: bars(f"import {dataset}", done, total, f"{aside} set aside"),
        )
    console.print(quality.render(report.quality))
    _print_notes(report.notes, report.warnings)
    state = "was ready, nothing to do" if report.unchanged else "written"
    console.print(f"{report.folder}: {state}, {report.seconds:.1f} s", soft_wrap=True)
    if report.quality.faults:
        clips = "1 clip was" if report.quality.faults == 1 else f"{report.quality.faults:,} clips were"
        raise StarsBenchError(f"{clips} set aside (listed above, all in index.json); the others are ready")


def _print_notes(notes: tuple[str, ...], warnings: tuple[str, ...]) -> None:
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    for warning in warnings:
        errors.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)
