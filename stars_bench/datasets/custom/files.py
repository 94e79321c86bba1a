"""From files to clips of a described dataset: which files are clips, what their names or a table say, the splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Clip, Found, NameFacts, Profile, RawItem, SetAside, Source
from stars_bench.datasets import ntu
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.custom import bodies, labels, readers
from stars_bench.datasets.custom.labels import natural, stem
from stars_bench.datasets.custom.model import CLIP, FRAME, NUMBERED, SPLIT_BY, Coordinates, Description, SplitRule
from stars_bench.datasets.custom.readers.axes import Stored
from stars_bench.datasets.parsing.fingerprint import source_digest
from stars_bench.datasets.parsing.numbers import ParseError, UnknownNumber, check_range
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import OnDuplicate, Progress
from stars_bench.errors import UsageError, printable


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
    wanted, paths = _Wanted(description, folder), list(paths)
    ignored: Counter[str] = Counter()
    parts: dict[str, _Part] = {}
    named: list[tuple[str, Source]] = []
    for file, source in sources.walk(paths, scratch=scratch, progress=progress):
        part = wanted.part(source)
        if part is None:
            ignored[sources.why_passed_over(file, wanted.otherwise)] += 1
            continue
        parts[part.name] = part
        named.append((part.name, source))
    if not named:
        wanted.check_names([source for _, source in sources.walk(paths, scratch=scratch)])
    elif without := wanted.without_file(parts.values()):
        ignored["rows of the table without a file"] += without
    found = sources.unique(named, on_duplicate, ignored, progress)
    clips: dict[str, list[_Part]] = {}
    for name in found:
        clips.setdefault(parts[name].clip, []).append(parts[name])
    items: list[RawItem] = []
    set_aside: list[SetAside] = []
    for clip, files in sorted(clips.items()):
        files.sort(key=lambda part: part.order)
        of_clip = {f"{number:06}": found[part.name] for number, part in enumerate(files)}
        for row in wanted.rows(clip, files):
            if isinstance(row, str):
                set_aside.append(SetAside(clip, str(of_clip["000000"]), row))
                continue
            try:
                facts = _facts(row, description)
                items.append(RawItem(row.get(CLIP, clip), of_clip, tuple(facts.items())))
            except UnknownNumber as error:
                set_aside.append(SetAside(row.get(CLIP, clip), str(of_clip["000000"]), str(error), "unknown"))
            except ValueError as error:
                set_aside.append(SetAside(clip, str(of_clip["000000"]), str(error)))
    return Found(items, set_aside, splits(items, description=description, folder=folder), dict(ignored))


def read_file(data: bytes, profile: Profile, *, description: Description) -> NDArray[np.float32]:
    """Return the bodies (M, F, V, 3) of a whole file, of any name.

    Raises:
        ParseError: The text is wrong; with its line.
        NothingLeft: No body is seen.
        ValueError: The content is wrong.
    """
    how = description.coordinates
    stored = readers.read(data, how, description.skeleton.own("").joints)
    return bodies.finished(stored, how, description.skeleton, bool(profile.parameters["centre"]))[0]


def splits(items: Sequence[RawItem], *, description: Description, folder: Path) -> dict[str, dict[str, list[str]]]:
    """Return the description's train/test splits: {protocol: {"train": clips, "test": clips}}.

    Raises:
        UsageError: A list that the description names cannot be read, or a clip trains and tests.
    """
    return {str(name): _split(name, rule, items, description, folder) for name, rule in description.splits.items()}


def read_name(name: str, *, description: Description) -> NameFacts:
    """Return what a clip's name says by the description's pattern, or as NTU's names; else nothing but itself.

    Args:
        name: Name of a prepared clip: the end of its path without suffix, folders joined by underlines.
        description: The description.

    Raises:
        ValueError: The name is no line of text.
        UnknownNumber: It has a number that the dataset does not have.
    """
    if not name or not name.isprintable():
        raise ValueError(f"{name!r} is no name")
    suffix = re.search(r"(\\\.\w+)+$", description.files.pattern or "")
    ending = suffix[0].replace("\\", "") if suffix else ""
    places = [None, *(place.start() for place in re.finditer("_", name))]
    paths = [name if place is None else f"{name[:place]}/{name[place + 1 :]}" for place in places]
    unknown = None
    for path in paths if description.files.pattern else ():
        match = re.fullmatch(description.files.pattern or "", path + ending)
        texts = {} if match is None else {group: text for group, text in match.groupdict().items() if text}
        if "action" in texts:
            try:
                return NameFacts(name, **_facts(texts, description))
            except UnknownNumber as error:
                unknown = error
            except ValueError:  # a pattern may match names that it was not made for
                continue
    with suppress(ValueError):
        return ntu.read_name(name)
    if unknown is not None:
        raise unknown
    return NameFacts(name)


def convert(
    item: RawItem, data: Mapping[str, bytes], profile: Profile, *, description: Description
) -> list[Clip | SetAside]:
    """Convert the file of a clip, or its files; one that cannot be read is set aside with the reason."""
    facts, where = dict(item.facts), ""
    how, centre = description.coordinates, bool(profile.parameters["centre"])
    joints_of_layout = description.skeleton.own("").joints
    first, last = facts.pop("start", None), facts.pop("end", None)
    try:
        read = []
        for role, content in data.items():
            where = str(item.sources[role])
            read.append(_stored(content, how, joints_of_layout))
        stored = read[0] if len(read) == 1 else readers.one_after_another(read)
        if first is not None and last is not None:
            if not 1 <= first <= last <= stored.shape[1]:
                raise ValueError(f"frames {first} to {last} of a file of {stored.shape[1]:,}")
            stored = stored[:, first - 1 : last]
        if description.files.action_key is not None and "label" not in facts:
            text = readers.read_action(data["000000"], how, description.files.action_key)
            facts["label"] = _label(text, description)
        joints, log = bodies.finished(stored, how, description.skeleton, centre)
    except ParseError as error:
        return [SetAside(item.name, f"{where}:{error.line}", printable(error.reason))]
    except NothingLeft as error:
        return [SetAside(item.name, where, str(error), "empty")]
    except UnknownNumber as error:
        return [SetAside(item.name, where, printable(str(error)), "unknown")]
    except ValueError as error:
        return [SetAside(item.name, where, printable(str(error)))]
    label, subject, camera, setup, replication = (facts[name] for name in ("label", *NUMBERED))
    digest = source_digest(*data.values())
    return [Clip(item.name, label, subject, camera, setup, replication, joints, digest, log)]


@lru_cache(maxsize=1)
def _stored(data: bytes, how: Coordinates, joints: tuple[str, ...]) -> Stored:
    """Read a file; the last one is kept, for a file of several clips."""
    return readers.read(data, how, joints)


@dataclass(frozen=True)
class _Part:
    """A file: all of a clip, or one of its frames.

    Args:
        name: Its own name.
        clip: Name of the clip.
        order: Where it stands among the files of the clip.
        texts: What its path says of the clip.
    """

    name: str
    clip: str
    order: tuple[int | str, ...]
    texts: Mapping[str, str]


class _Wanted:
    """Which files a description wants, and what it says of them.

    Args:
        description: The description.
        folder: Folder of its tables.
    """

    def __init__(self, description: Description, folder: Path) -> None:
        files = description.files
        self.pattern = None if files.pattern is None else re.compile(files.pattern)
        self.table = labels.read([folder / name for name in files.table], files.columns) if files.table else None
        self.tables, self.frames = " and ".join(files.table), description.frame_files
        self.suffix = f".{description.coordinates.format}"
        self.otherwise = f"files that {'the pattern does not match' if self.pattern else 'the table does not name'}"

    def part(self, source: Source) -> _Part | None:
        """Return what a file is; None for a file that is not wanted."""
        path = (source.member if source.member is not None else str(source)).replace("\\", "/")
        starts = [0, *(slash.end() for slash in re.finditer("/", path))]
        if self.pattern is None:
            stems = (stem(path[start:]) for start in reversed(starts))
            name = next((one for one in stems if self.table is not None and one in self.table), None)
            return None if name is None else _Part(name, name, (), {})
        pattern = self.pattern
        match = next((match for start in reversed(starts) if (match := pattern.fullmatch(path, start))), None)
        if match is None:
            return None
        texts = {group: text for group, text in match.groupdict().items() if text}
        name, frame = stem(match[0]), texts.pop(FRAME, None)
        if not self.frames:
            return _Part(name, texts.pop(CLIP, name), (), texts)
        before = match[0].rpartition("/")[0] or (match.string[match.start() : match.start(FRAME)] if frame else "")
        clip = texts.pop(CLIP, stem(f"{before.rstrip('/_-. ')}."))
        if not clip:
            raise UsageError(
                f"{source}: which clip does this frame belong to? Say it with a folder or a group (?P<clip>...) in "
                "files.pattern"
            )
        return _Part(name, clip, natural(frame or name), texts)

    def without_file(self, found: Iterable[_Part]) -> int:
        """Return how many files a table names, in place of a pattern, that are not there."""
        return 0 if self.table is None or self.pattern is not None else len(self.table.keys() - {p.name for p in found})

    def check_names(self, found: Sequence[Source]) -> None:
        """Raise UsageError where names are the fault: those of a table, or the pattern's capitals."""
        if self.pattern is None:
            near = [source for source in found if str(source).endswith(self.suffix)]
            if self.table and near:
                raise UsageError(
                    f"{self.tables} names files such as {next(iter(self.table))!r}, and none of them is "
                    f"there, but {near[0]}: a name is the end of a path, such as {str(near[0]).rpartition('/')[2]}"
                )
            return
        anyhow = re.compile(self.pattern.pattern, self.pattern.flags | re.IGNORECASE)
        near = [source for source in found if anyhow.search(str(source))]
        if near:
            raise UsageError(
                f"files.pattern matches no file; {len(near):,} would be matched if capitals did not count, such as "
                f"{near[0]}: begin it with (?i)"
            )

    def rows(self, clip: str, files: Sequence[_Part]) -> list[dict[str, str] | str]:
        """Return what is known of a clip, once for each clip in its file; a text says why nothing is."""
        texts = dict(files[0].texts)
        if other := next((one for one in files if one.texts != files[0].texts), None):
            fact = min(name for name in {*texts, *other.texts} if texts.get(name) != other.texts.get(name))
            raise UsageError(
                f"{clip}: its files differ in {fact} ({files[0].name}, {other.name}), so they are not one clip: "
                "say which are with a group (?P<clip>...) in files.pattern"
            )
        if self.table is None:
            return [texts]
        rows = self.table.get(clip) or self.table.get(clip.rpartition("/")[2])
        return [texts | row for row in rows] if rows else [f"{self.tables} does not name this clip"]


def _facts(texts: Mapping[str, str], description: Description) -> dict[str, int]:
    """Return the label (from 0), where it is known, and the numbers of a clip.

    Raises:
        UnknownNumber: The dataset has no such number.
        ValueError: Nothing says the action, or half of a segment is missing.
    """
    facts = {}
    if "action" in texts:
        facts["label"] = _label(texts["action"], description)
    elif description.files.action_key is None:
        raise ValueError("nothing says its action")
    facts |= {fact: _number(fact, texts.get(fact, "0"), description) for fact in NUMBERED}
    if ("start" in texts) != ("end" in texts):
        raise ValueError("the table says start or end, and not both")
    return facts | {edge: _number(edge, texts[edge], description) for edge in ("start", "end") if edge in texts}


def _label(action: str, description: Description) -> int:
    """Return the label (from 0) of an action's name or number.

    Raises:
        UnknownNumber: There is no such class. Where ids have gaps, those of other clips mean other classes, too.
    """
    classes, first = description.classes, description.files.first_action
    if action in classes:
        return classes.index(action)
    if description.numbers.get("action"):
        return _number("action", action, description, strict=True) - 1
    number = _number("action", action, description)
    try:
        check_range("action", number, first, first + len(classes) - 1)
    except UnknownNumber as error:
        remedy = "if ids have gaps, other clips have wrong classes, too: give each id its class under [numbers.action]"
        raise UnknownNumber(f"{error}; {remedy}") from None
    return number - first


def _number(fact: Any, text: str, description: Description, *, strict: bool = False) -> int:
    """Return the number of a text: what [numbers] gives it, or else its own; `strict`: no other than these.

    Raises:
        UnknownNumber: [numbers] has none for it, or it is not in [ranges].
        ValueError: It is no number, and there are no [numbers].
    """
    given = description.numbers.get(fact, {})
    if text in given:
        return given[text]
    own = int(text) if re.fullmatch(r"\d{1,9}", text) else None
    alike = [number for key, number in given.items() if own is not None and key.isdecimal() and int(key) == own]
    if alike:
        return alike[0]
    if own is None or strict:
        kind = "is no number" if own is None else "has no number"
        unknown = UnknownNumber if given else ValueError  # without [numbers] a pattern may have matched anything
        raise unknown(f"{fact} {text!r} {kind}: give it one under [numbers.{fact}]")
    if fact in description.ranges:
        check_range(fact, own, *description.ranges[fact])
    return own


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
        by = rule.by or SPLIT_BY.get(protocol, "subject")
        where, of = f"{description.name}: splits.{protocol}", {item.name: str(dict(item.facts)[by]) for item in items}
        train, test = (_numbers_of(values, by, protocol, description) for values in (rule.train, rule.test))
        test = test or sorted(set(of.values()) - set(train))
        values = {"train": train, "test": test}
        taken = {item.name for item in items if _has_action(item, protocol, rule, description)}
        split = {part: [name for name, one in of.items() if one in values[part] and name in taken] for part in values}
    if both := set(train) & set(test):
        raise UsageError(f"{where}: {min(both)} trains and tests")
    return split


def _has_action(item: RawItem, protocol: str, rule: SplitRule, description: Description) -> bool:
    if not rule.actions:
        return True
    try:
        return dict(item.facts)["label"] in [_label(str(action), description) for action in rule.actions]
    except ValueError as error:
        raise UsageError(f"{description.name}: splits.{protocol}: actions: {error}") from error


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
    return [stem(line.strip().replace("\\", "/")) for line in lines if line.strip()]
