"""Where a picture goes: its name where none is given, and its format."""

from __future__ import annotations

import re
from pathlib import Path

from stars_bench.errors import UsageError

FORMATS = ("html", "gif", "png")


def target(out: Path | None, form: str | None, name: str, default: str) -> tuple[Path, str]:
    """Return the file to write and its format: of two, the suffix of `out` and `form`, one is enough.

    Args:
        out: The file that was asked for; None: a file with the default name.
        form: The format that was asked for; None: the suffix decides.
        name: Name of the file without suffix, if none is given.
        default: Format, if none is given.

    Returns:
        The file and its format.

    Raises:
        UsageError: The format is unknown, or does not fit the file's suffix.
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
