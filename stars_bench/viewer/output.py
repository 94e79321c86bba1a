"""Where a picture goes: its name where none is given, its format, and that nobody else's file is lost."""

from __future__ import annotations

import re
from pathlib import Path

from stars_bench.display.document import GENERATOR
from stars_bench.errors import UsageError

FORMATS = ("html", "gif", "png")
HEAD = 4096  # bytes in which each of the formats says what wrote it


def target(out: Path | None, form: str | None, name: str, default: str) -> tuple[Path, str]:
    """The file to write and its format: of two, the suffix of `out` and `form`, one is enough.

    Args:
        name: of the file without suffix, where none is given.
        default: format where nothing says one.

    Raises:
        UsageError: an unknown format, or one that is not the file's.
    """
    if form is not None and form not in FORMATS:
        raise UsageError(f"there is no format {form!r}: {', '.join(FORMATS)}")
    if out is None:
        chosen = form or default
        return Path(f"{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}.{chosen}"), chosen
    suffix = out.suffix.lower().removeprefix(".")
    if form is None and suffix not in FORMATS:
        raise UsageError(f"--out {out}: name its --format, or let it end in {', '.join(f'.{one}' for one in FORMATS)}")
    if form is not None and suffix in FORMATS and suffix != form:
        raise UsageError(f"--out {out} is no {form}: leave out --format, or name another file")
    return out, form or suffix


def check_ours(path: Path) -> None:
    """That a file may be written: nothing is there, or a picture or page of this program.

    Raises:
        UsageError: something else is.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: name a file")
    if not path.exists():
        return
    with path.open("rb") as file:
        if GENERATOR.encode() not in file.read(HEAD):
            raise UsageError(f"{path} is there and was not written by this command; --force replaces it")
