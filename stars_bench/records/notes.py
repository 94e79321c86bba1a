"""Tags and notes of a run: beside its seeds, in notes.json. They decide nothing and are part of no key."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.files import utc_now, write_json
from stars_bench.io.run_folder import RunFolder

FILE = "notes.json"


@dataclass(frozen=True)
class Note:
    """A remark on a run.

    Args:
        text: What was said.
        written: When (UTC, ISO 8601).
    """

    text: str
    written: str


@dataclass(frozen=True)
class Notes:
    """What a person said of a run.

    Args:
        tags: Single words, sorted.
        notes: Remarks, the oldest first.
    """

    tags: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def read(folder: RunFolder) -> Notes:
    """Return the tags and notes of the run that a seed belongs to.

    Raises:
        StarsBenchError: The file is damaged; one line names it.
    """
    path = folder.run / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Notes(tuple(map(str, content["tags"])), tuple(Note(**one) for one in content["notes"]))
    except FileNotFoundError:
        return Notes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StarsBenchError(f"{path}: holds no tags and notes of stars-bench ({error}): mend or delete it") from error


def add(folder: RunFolder, tags: Iterable[str] = (), note: str | None = None) -> Notes:
    """Add tags and a note to the run that a seed belongs to; existing ones stay, and nothing is said twice.

    Raises:
        UsageError: A tag is no single word.
        StarsBenchError: The file that is there is damaged.
    """
    tags = list(tags)
    check_tags(tags)
    there = read(folder)
    notes = there.notes
    if note is not None and note.strip() and note.strip() not in [one.text for one in notes]:
        notes = (*notes, Note(note.strip(), utc_now()))
    found = Notes(tuple(sorted({*there.tags, *tags})), notes)
    if found != there:
        write_json(folder.run / FILE, asdict(found))
    return found


def check_tags(tags: Iterable[str]) -> None:
    """Check that tags are single words.

    Raises:
        UsageError: One is not.
    """
    for tag in tags:
        if not tag or not tag.isprintable() or any(letter.isspace() or letter == "," for letter in tag):
            raise UsageError(f"--tag {tag!r}: a tag is one word without blanks and commas; `note` takes sentences")
