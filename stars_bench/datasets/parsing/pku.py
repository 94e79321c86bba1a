"""Raw PKU-MMD files: bytes in; frames of a video, rows of a label file, or the videos of a split file out.

Formats (arXiv:1703.07475): `skeleton/VIDEO.txt` holds a line a frame of 150 numbers, 2 bodies x 25 joints x 3, metres
in the camera's frame; `label/VIDEO.txt` lines `class,start,end,confidence`, class 1-51; a split file names the training
videos under `Training videos:` and the others under `Validataion videos:` (spelled so), separated by commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.parsing.numbers import ParseError, check_text, read_numbers
from stars_bench.datasets.parsing.scan_types import VideoScan

COLUMNS = 150
LABEL_FIELDS = 4
MOST_ROWS = 1_000  # of a label file: some 20 in the published ones; each may become a clip of 180 KB

HEADING = re.compile(r"^\s*(train|val|test)\w*(\s+videos?)?\s*:?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class LabelRow:
    """One row of a label file.

    Args:
        line: 1-based line of the file.
        index: Number of the row among the rows, from 0.
        action: 1-based class.
        start: First frame.
        end: The frame after the last.
    """

    line: int
    index: int
    action: int
    start: int
    end: int


def parse_video(data: bytes) -> NDArray[np.float32]:
    """Return the frames of a video (F, 150).

    Coordinates that are not finite are kept: the clip that holds them is judged later.

    Raises:
        ParseError: The file is not text, a line does not have exactly 150 numbers, or a token is not a number.
    """
    check_text(data)
    scanner = compiled_code.scanner(len(data))
    rows = _complete(data, scanner.scan_video(data)) if scanner is not None else None
    return rows if rows is not None else read_exactly(data)


def _complete(data: bytes, scan: VideoScan | None) -> NDArray[np.float32] | None:
    """Read the lines that a scan has left over; None when one of them is wrong: the exact reading says how."""
    if scan is None:
        return None
    try:
        for start, behind, row in scan.left.tolist():
            scan.rows[row] = _as_float32(read_numbers(data[start:behind]))
    except ValueError:
        return None
    return scan.rows


def read_exactly(data: bytes) -> NDArray[np.float32]:
    """Return the frames of a video (F, 150), read line by line: slow, but every fault gets its line and reason.

    Raises:
        ParseError: A line does not have exactly 150 numbers, or a token is not a number.
    """
    rows = []
    for number, line in enumerate(data.split(b"\n"), start=1):
        try:
            values = read_numbers(line)
        except ValueError as error:
            raise ParseError(number, str(error)) from None
        if values and len(values) != COLUMNS:
            found = f"only {len(values)}" if len(values) < COLUMNS else f"more than {COLUMNS}"
            raise ParseError(number, f"a frame must have {COLUMNS} numbers, this has {found}")
        if values:
            rows.append(_as_float32(values))
    return np.array(rows)


def _as_float32(values: list[float]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return np.array(values, np.float32)


def parse_labels(data: bytes) -> tuple[list[LabelRow], list[ParseError]]:
    """Return the rows of a label file, and the lines that are not rows; blank lines and a trailing comma are accepted.

    Raises:
        ParseError: The file is not text, holds no label, or has more rows than MOST_ROWS.
    """
    check_text(data)
    rows: list[LabelRow] = []
    faults: list[ParseError] = []
    index = 0
    for line, content in enumerate(_lines(data), start=1):
        if not content.strip(" \t,"):
            continue
        if index == MOST_ROWS:
            raise ParseError(line, f"more than {MOST_ROWS:,} labels, more than any video has")
        fields = [part for part in re.split(r"[,\s]+", content.strip()) if part]
        try:
            numbers = [int(part) for part in fields]
            if not LABEL_FIELDS - 1 <= len(numbers) <= LABEL_FIELDS:
                raise ValueError
            rows.append(LabelRow(line, index, *numbers[:3]))
        except ValueError:
            faults.append(ParseError(line, f"{content.strip()[:60]!r} is no label (class,start,end,confidence)"))
        index += 1
    if not index:
        raise ParseError(1, "there is no label in it")
    return rows, faults


def parse_split(data: bytes) -> tuple[list[str], list[str]]:
    """Return the training and the validation videos of a split file.

    Raises:
        ParseError: A name stands before any heading.
    """
    parts: dict[str, list[str]] = {"train": [], "other": []}
    into: list[str] | None = None
    for line, content in enumerate(_lines(data), start=1):
        heading, colon, rest = content.partition(":")
        if HEADING.match(heading + colon):
            into = parts["train" if heading.strip().lower().startswith("train") else "other"]
            content = rest
        names = [name for name in re.split(r"[,\s]+", content) if name]
        if names and into is None:
            raise ParseError(line, "a video before the heading 'Training videos:'")
        if into is not None:
            into += [re.sub(r"\.\w+$", "", name) for name in names]
    return parts["train"], parts["other"]


def fault_of(row: LabelRow, frames: int, classes: int) -> str | None:
    """Return why a label row cannot be a clip of a video of `frames` frames; None if it can.

    A clip that ends after the video's end is cut short there, as in the published preparation.
    """
    if not 1 <= row.action <= classes:
        return f"class {row.action} is not in 1..{classes}"
    if row.end <= row.start:
        return f"the clip ends (frame {row.end}) before it starts (frame {row.start})"
    if row.start < 0:
        return f"the clip starts at frame {row.start}"
    if row.start >= frames:
        return f"the clip starts (frame {row.start}) behind the video's end ({frames} frames)"
    return None


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8-sig", "backslashreplace").split("\n")
