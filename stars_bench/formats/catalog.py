"""The formats of other programs that this package knows."""

from __future__ import annotations

from pathlib import Path

from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.errors import UsageError
from stars_bench.formats import crossclr, mamp, pyskl
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
        f"{path}: is no npz, no .pkl and no folder with train_data.npy; say what it is with --format "
        f"({', '.join(FORMATS)}). {seen[:1].upper()}{seen[1:]}"
    )


def recognised(path: Path) -> Format | None:
    """Return the format of a file or folder; None if there is no such file, or its format is not known."""
    return next((found for found in FORMATS.values() if found.recognises(path)), None)
