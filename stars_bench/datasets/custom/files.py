"""From files to clips of a described dataset: which files are clips, what their names or a table say, the splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stars_bench.api import Clip, Found, Profile, RawItem, SetAside, Source
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.custom import bodies, readers
from stars_bench.datasets.custom.model import FACTS, NUMBERED, SPLIT_BY, Description, SplitRule
from stars_bench.datasets.parsing.fingerprint import source_digest
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import OnDuplicate, Progress
from stars_bench.errors import UsageError, one_line, printable


def find(
    paths: Iterable[Path],
    on_duplicate: OnDuplicate = "refuse",
    scratch: Path | None = None,
    progress: Progress | None = None,
    *,
    description: Description,
    folder: Path,
) -> Found:
    """Return the clips that the description's pattern finds, with their facts, and its splits.

    Raises:
        UsageError: A table or a list that the description names cannot be read.
        StarsBenchError: One clip is found twice with different content.
    """
    pattern = re.compile(description.files.pattern)
    table = None if description.files.table is None else _table(folder / description.files.table)
    ignored: Counter[str] = Counter()
    matches: dict[str, dict[str, str]] = {}
    named: list[tuple[str, Source]] = []
    for file, source in sources.walk(paths, scratch=scratch, progress=progress):
        match = _matched(pattern, source)
        if match is None:
            ignored[sources.why_passed_over(file, "files that the pattern does not match")] += 1
            continue
        name = _stem(match[0])
        matches[name] = {fact: text for fact, text in match.groupdict().items() if text}
        named.append((name, source))
    found = sources.unique(named, on_duplicate, ignored, progress)
    items, set_aside = [], []
    for name, source in sorted(found.items()):
        if table is not None and name not in table:
            set_aside.append(SetAside(name, str(source), f"{description.files.table} does not name this clip"))
            continue
        texts = matches[name] | ({} if table is None else table[name])
        try:
            items.append(RawItem(name, {"clip": source}, tuple(_facts(texts, description).items())))
        except ValueError as error:
            set_aside.append(SetAside(name, str(source), str(error)))
    splits: dict[str, dict[str, list[str]]] = {
        str(name): _split(name, rule, items, description, folder) for name, rule in description.splits.items()
    }
    return Found(items, set_aside, splits, dict(ignored))


def convert(
    item: RawItem, data: Mapping[str, bytes], profile: Profile, *, description: Description
) -> list[Clip | SetAside]:
    """Convert one file to one clip; a file that cannot be read is set aside with the reason."""
    where = str(item.sources["clip"])
    centre = bool(profile.parameters["centre"])
    try:
        stored = readers.read(data["clip"], description.coordinates, description.skeleton.own("").joints)
        joints, log = bodies.finished(stored, description.coordinates, description.skeleton, centre)
    except ParseError as error:
        return [SetAside(item.name, f"{where}:{error.line}", printable(error.reason))]
    except NothingLeft as error:
        return [SetAside(item.name, where, str(error), "empty")]
    except ValueError as error:
        return [SetAside(item.name, where, printable(str(error)))]
    return [Clip(item.name, **dict(item.facts), bodies=joints, source_digest=source_digest(data["clip"]), log=log)]


def _matched(pattern: re.Pattern[str], source: Source) -> re.Match[str] | None:
    """Return the shortest end of a source's path that the pattern matches: the file's name, with folders or not."""
    path = (source.member if source.member is not None else str(source)).replace("\\", "/")
    starts = [0, *(slash.end() for slash in re.finditer("/", path))]
    return next((match for start in reversed(starts) if (match := pattern.fullmatch(path, start))), None)


def _stem(matched: str) -> str:
    """Return a clip's name: the matched end of its path without the suffix, folders joined by underlines."""
    return re.sub(r"\.[^./]*$", "", matched).replace("/", "_")


def _table(path: Path) -> dict[str, dict[str, str]]:
    """Return {clip: {fact: text}} of a table with a column `file`."""
    import pandas as pd

    try:
        readers.csv_lines(path.read_bytes())
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False, skipinitialspace=True)
    except ParseError as error:
        raise UsageError(f"{path}:{error.line}: {error.reason}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: the table of clips cannot be read ({one_line(error)})") from error
    if "file" not in table or "action" not in table:
        raise UsageError(f"{path}: needs columns `file` and `action`; it has {', '.join(table.columns)}")
    names = [_stem(file.replace("\\", "/")) for file in table["file"]]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UsageError(f"{path}: names {twice[0]!r} twice")
    known = [fact for fact in FACTS if fact in table]
    return {
        name: {fact: text for fact, text in zip(known, row, strict=True) if text}
        for name, row in zip(names, table[known].to_numpy().tolist(), strict=True)
    }


def _facts(texts: Mapping[str, str], description: Description) -> dict[str, int]:
    """Return the label (from 0) and the numbers of a clip.

    Raises:
        ValueError: A value is not a number and has none in [numbers], or there is no such action.
    """
    classes = description.classes
    if "action" not in texts:
        raise ValueError("nothing says its action")
    action = texts["action"]
    label = classes.index(action) if action in classes else _number("action", action, description) - 1
    if not 0 <= label < len(classes):
        raise ValueError(f"action {label + 1} is not in 1..{len(classes)}")
    return {"label": label} | {fact: _number(fact, texts.get(fact, "0"), description) for fact in NUMBERED}


def _number(fact: Any, text: str, description: Description) -> int:
    given = description.numbers.get(fact, {})
    if text in given:
        return given[text]
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"{fact} {text!r} is no number: give it one under [numbers.{fact}]")
    return int(text)


def _split(
    protocol: str, rule: SplitRule, items: Sequence[RawItem], description: Description, folder: Path
) -> dict[str, list[str]]:
    """Return {"train": clips, "test": clips}; clips in neither list belong to neither part.

    Clips that a list names may be missing.

    Raises:
        UsageError: A clip is in both parts.
    """
    if rule.train_file is not None:
        where, names = f"{folder / rule.train_file}", [item.name for item in items]
        train = _list(folder / rule.train_file)
        others = [name for name in names if name not in set(train)]
        test = others if rule.test_file is None else _list(folder / rule.test_file)
        split = {"train": train, "test": test}
    else:
        by = rule.by or SPLIT_BY[protocol]
        where, of = f"{description.name}: splits.{protocol}", {item.name: str(dict(item.facts)[by]) for item in items}
        train, test = (_numbers_of(values, by, protocol, description) for values in (rule.train, rule.test))
        test = test or sorted(set(of.values()) - set(train))
        values = {"train": train, "test": test}
        split = {part: [name for name, one in of.items() if one in values[part]] for part in values}
    if both := set(train) & set(test):
        raise UsageError(f"{where}: {min(both)} trains and tests")
    return split


def _numbers_of(values: Sequence[int | str], by: str, protocol: str, description: Description) -> list[str]:
    try:
        return [str(_number(by, str(value), description)) for value in values]
    except ValueError as error:
        raise UsageError(f"{description.name}: splits.{protocol}: {error}") from error


def _list(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the list of clips cannot be read ({error})") from error
    return [_stem(line.strip().replace("\\", "/")) for line in lines if line.strip()]
