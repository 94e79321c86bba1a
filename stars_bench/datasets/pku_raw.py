"""Raw PKU-MMD files: bytes in; frames of a video, rows of a label file, or the videos of a split file out.

Formats (arXiv:1703.07475): `skeleton/VIDEO.txt` holds a line a frame of 150 numbers, 2 bodies x 25 joints x 3, metres
in the camera's frame; `label/VIDEO.txt` lines `class,start,end,confidence`, class 1-51; a split file names the training
videos under `Training videos:` and the others under `Validataion videos:` (spelled so), separated by commas.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets import text_numbers
from stars_bench.datasets.text_numbers import (
    FEW_FIELDS,
    LF,
    MANY_FIELDS,
    OK,
    OUT_OF_NOTES,
    ParseError,
    compiled,
    scan_float,
    skip_blanks,
    skip_token,
)

COLUMNS = 150
SMALLEST_ROW = 2 * COLUMNS  # bytes: one digit and one blank a number
LABEL_FIELDS = 4

HEADING = re.compile(r"^\s*(train|val|test)\w*(\s+videos?)?\s*:?\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class LabelRow:
    """One line of a label file: its 1-based line, its index among the rows, the class (1-based), rows [start, end)."""

    line: int
    index: int
    action: int
    start: int
    end: int


def parse_video(data: bytes) -> NDArray[np.float32]:
    """The frames of a video: (F, 150). Coordinates that are not finite are kept: the clip that holds them is judged.

    Raises:
        ParseError: empty, a line without exactly 150 numbers, not a number.
    """
    if not data or data.isspace():
        raise ParseError(1, "the file is empty")
    text = text_numbers.as_text(data)
    words = text_numbers.as_words(text)
    rows = np.empty((min(data.count(b"\n") + 1, text.size // SMALLEST_ROW + 1), COLUMNS), np.float32)
    notes = text_numbers.new_notes(64)
    while True:
        verdict, at, count, column, noted = _scan_rows(text, words, rows, *notes)
        if verdict != OUT_OF_NOTES:
            break
        notes = text_numbers.new_notes(notes.start.size * 16)
    text_numbers.settle(data, notes, noted, rows.reshape(-1))
    if verdict != OK:
        found = f"only {column}" if verdict == FEW_FIELDS else f"more than {COLUMNS}"
        line = text_numbers.line_number(data, min(at, len(data)))
        raise ParseError(line, f"a frame must have {COLUMNS} numbers, this has {found}")
    return rows[:count]


def parse_labels(data: bytes) -> tuple[list[LabelRow], list[ParseError]]:
    """The rows of a label file, and the lines that are none. Blank lines and a trailing comma are let pass."""
    rows: list[LabelRow] = []
    faults: list[ParseError] = []
    index = 0
    for line, content in enumerate(_lines(data), start=1):
        if not content.strip(" \t,"):
            continue
        fields = [part for part in re.split(r"[,\s]+", content.strip()) if part]
        try:
            numbers = [int(part) for part in fields]
            if not LABEL_FIELDS - 1 <= len(numbers) <= LABEL_FIELDS:
                raise ValueError
            rows.append(LabelRow(line, index, *numbers[:3]))
        except ValueError:
            faults.append(ParseError(line, f"{content.strip()[:60]!r} is no label (class,start,end,confidence)"))
        index += 1
    return rows, faults


def parse_split(data: bytes) -> tuple[list[str], list[str]]:
    """The training and the validation videos of a split file.

    Raises:
        ParseError: a name before any heading.
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
    """Why a label row cannot be a clip of a video of `frames` frames; None when it can.

    A clip that ends behind the video's end is cut short there, as the published preparation does.
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


@compiled
def _scan_rows(text: Any, words: Any, rows: Any, start: Any, target: Any) -> tuple[int, int, int, int, int]:
    """All lines: verdict, position, rows, numbers in the last row, notes."""
    at, count, noted = 0, 0, 0
    while at < text.size:
        at = skip_blanks(text, at)
        if text[np.uint64(at)] == LF:
            at += 1
            continue
        for column in range(COLUMNS):
            at = skip_blanks(text, at)
            if text[np.uint64(at)] == LF:
                return FEW_FIELDS, at, count, column, noted
            value, behind, ask = scan_float(text, words, at)
            if ask:
                if noted == start.size:
                    return OUT_OF_NOTES, at, count, column, noted
                start[noted], target[noted] = at, count * COLUMNS + column
                noted += 1
                behind = skip_token(text, behind)
            rows[count, column] = value
            at = behind
        at = skip_blanks(text, at)
        if text[np.uint64(at)] != LF:
            return MANY_FIELDS, at, count, COLUMNS, noted
        at += 1
        count += 1
    return OK, at, count, 0, noted
