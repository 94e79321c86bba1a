"""The formats of other programs that this package knows."""

from __future__ import annotations

from pathlib import Path

from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.errors import UsageError
from stars_bench.formats import agcn, crossclr, mamp, mat, pyskl
from stars_bench.formats.base import Format

FORMATS: dict[str, Format] = {
    found.name: found
    for found in (
        Format(
            name="mamp",
            summary="CTR-GCN, MAMP and STARS: an npz a protocol, clips padded to (300, 150)",
            theirs="mamp",
            one_protocol=True,
            recognises=mamp.recognises,
            read=mamp.read,
            write=mamp.write,
            files=lambda out: [out],
        ),
        Format(
            name="mat",
            summary="MATLAB: cells of ragged clips, rows of all protocols; up to 2 GB",
            theirs="mamp",
            one_protocol=False,
            recognises=mat.recognises,
            read=mat.read,
            write=mat.write,
            files=lambda out: [out],
        ),
        Format(
            name="pyskl",
            summary="pyskl and MMAction2: a pickle of ragged clips in float16, with lists of all protocols",
            theirs="pyskl",
            one_protocol=False,
            recognises=pyskl.recognises,
            read=pyskl.read,
            write=pyskl.write,
            files=lambda out: [out],
        ),
        Format(
            name="crossclr",
            summary="CrosSCLR and AimCLR: a folder a protocol, clips padded to (3, 300, 25, 2)",
            theirs="raw",
            one_protocol=True,
            recognises=crossclr.recognises,
            read=crossclr.read,
            write=crossclr.write,
            files=crossclr.files,
        ),
        Format(
            name="agcn",
            summary="2s-AGCN, MS-G3D and CMD: a folder a protocol, joints, bones and their motion, padded",
            theirs="raw",
            one_protocol=True,
            recognises=agcn.recognises,
            read=crossclr.read,
            write=agcn.write,
            files=agcn.files,
        ),
        *(
            Format(
                name=f"position-{frames}",
                summary=f"CrosSCLR's train_position.npy: a folder a protocol, {frames} frames, placed and turned",
                theirs="raw",
                one_protocol=True,
                recognises=lambda _: False,
                read=agcn.refuse_positions,
                write=write,
                files=agcn.position_files,
            )
            for frames, write in agcn.POSITIONS.items()
        ),
    )
}


def format_of(name: str) -> Format:
    """Return the format with a name.

    Raises:
        UsageError: There is no such format.
    """
    if name not in FORMATS:
        raise UsageError(f"there is no format {name!r}: {', '.join(FORMATS)}")
    return FORMATS[name]


def recognise(path: Path) -> Format:
    """Return the format of a file or folder, by its content.

    Raises:
        UsageError: There is no such file, or its format is not known.
    """
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    if (found := recognised(path)) is not None:
        return found
    seen = what_lies_there([path])
    raise UsageError(
        f"{path}: is no npz, .pkl, .mat and no folder with train_data.npy or train_data_joint.npy; say what it is with "
        f"--format ({', '.join(FORMATS)}). {seen[:1].upper()}{seen[1:]}"
    )


def recognised(path: Path) -> Format | None:
    """Return the format of a file or folder; None if there is no such file, or its format is not known."""
    return next((found for found in FORMATS.values() if found.recognises(path)), None)
