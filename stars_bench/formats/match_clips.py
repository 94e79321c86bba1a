"""From the clips of a file to shards: what their names say, which clips are kept, and the train/test split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stars_bench import registry
from stars_bench.api import Clip, DatasetSpec, Found, NameFacts, ProtocolSpec, RawItem, SetAside
from stars_bench.datasets.ntu import missing_names
from stars_bench.datasets.parsing.numbers import UnknownNumber
from stars_bench.errors import StarsBenchError
from stars_bench.formats.base import PARTS, Incoming, NamedClip
from stars_bench.formats.clip_order import GROUPED_BY, table_of, two_part_protocols
from stars_bench.protocols.official import NAMES as STATED
from stars_bench.storage.quality import QualityReport, assess
from stars_bench.storage.shards import ShardContent

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int, int], None]
"""Called with how many clips are done, of how many, and how many were set aside so far."""

SHARD_CLIPS, SHARD_BYTES = 1_024, 32 << 20  # of coordinates: what is in memory at once
TICK = 32


class Intake:
    """The clips of one file, taken once.

    Args:
        spec: The dataset that they should belong to.
        path: The file, for messages.
        incoming: What the reader of the format found.
    """

    def __init__(self, spec: DatasetSpec, path: Path, incoming: Incoming) -> None:
        self.spec, self.path, self.incoming = spec, path, incoming
        self.seen: set[str] = set()
        self.kept: dict[str, NameFacts] = {}
        self.labels: set[int] = set()
        self.set_aside: list[SetAside] = []
        self.ignored: Counter[str] = Counter()
        self.first_ignored = ""
        self.notes: list[str] = []
        self.warnings: list[str] = []
        names = spec.expected_names() if spec.expected_names is not None and not incoming.unnamed else []
        self.setups = {int(name[1:4]) for name in names}
        """The setups of the complete dataset, where its names are known."""
        self.by_file = incoming.unnamed or (spec.ships_splits and spec.splits is None)
        """Whether the names do not tell who trains, so that the file's own lists have to."""

    def contents(self, progress: Progress | None) -> Iterator[ShardContent]:
        """Yield the clips that are kept, in portions for a shard each.

        Raises:
            StarsBenchError: No clip belongs to the dataset, two clips have one name, or a label is not the name's.
        """
        content, filled = ShardContent(), 0
        for done, found in enumerate(self.incoming.clips, start=1):
            self.seen.add(found.name)
            clip = self._take(found)
            if clip is not None:
                content.add(self.kept[clip.name].item, clip)
                filled += clip.bodies.nbytes
            if progress is not None and (done % TICK == 0 or done == self.incoming.total):
                progress(done, self.incoming.total, len(self.set_aside))
            if len(content.clips) == SHARD_CLIPS or filled >= SHARD_BYTES:
                yield content
                content, filled = ShardContent(), 0
        if not self.kept:
            raise StarsBenchError(f"{self.path}: {self._nothing()}")
        if content.clips:
            yield content

    def _take(self, found: NamedClip | SetAside) -> Clip | None:
        if isinstance(found, SetAside):
            self.set_aside.append(found)
            return None
        name, label = found.name, found.label
        numbers = self._numbers(name)
        if numbers is None:
            return None
        if name in self.kept:
            raise StarsBenchError(f"{self.path}: {name} is there twice")
        if not 0 <= label < len(self.spec.classes):
            reason = f"label {label} is not in 0..{len(self.spec.classes) - 1}"
            self.set_aside.append(SetAside(name, str(self.path), reason, "unknown"))
            return None
        if numbers.label not in (None, label):
            raise StarsBenchError(
                f"{self.path}: {name} has label {label}, its name says {numbers.label} (counted from 0)"
            )
        self.kept[name] = numbers
        self.labels.add(label)
        of_name = (numbers.subject, numbers.camera, numbers.setup, numbers.replication)
        return Clip(name, label, *of_name, found.bodies, self.incoming.digest, picture=found.picture)

    def _numbers(self, name: str) -> NameFacts | None:
        """Return what a name says; None, with a note, if the clip does not belong to the dataset, as in `prepare`."""
        if self.incoming.unnamed:
            return NameFacts(name)
        try:
            numbers = None if self.spec.read_name is None else self.spec.read_name(name)
        except UnknownNumber as error:
            self.set_aside.append(SetAside(name, str(self.path), str(error), "unknown"))
            return None
        except ValueError:
            numbers = None
        if numbers is None or (self.setups and numbers.setup not in self.setups):
            self.first_ignored = self.first_ignored or name
            self.ignored[f"clips whose names are none of {self.spec.name} (the first: {self.first_ignored})"] += 1
            return None
        if self.setups and name in missing_names():
            reason = "on the published list of missing or incomplete skeletons"
            self.set_aside.append(SetAside(name, str(self.path), reason, "missing-list"))
            return None
        classes = len(self.spec.classes)
        if numbers.label is not None and numbers.label >= classes:
            reason = f"action {numbers.label + 1} is not in 1..{classes}"
            self.set_aside.append(SetAside(name, str(self.path), reason, "unknown"))
            return None
        return numbers

    def _nothing(self) -> str:
        if self.first_ignored:
            count = self.ignored.total()
            return (
                f"no clip is of {self.spec.name}: none of the {count:,} names is; the first is {self.first_ignored!r}"
            )
        if self.set_aside:
            first, count = self.set_aside[0], len(self.set_aside)
            return f"all {count:,} clips were set aside; the first: {first.where}: {first.reason}"
        return "holds no clip"

    def splits(self) -> dict[str, dict[str, list[str]]]:
        """Return the official splits for the index, if the names do not give them; note where the file states others.

        Raises:
            StarsBenchError: The file's lists cannot be kept as they are.
        """
        protocols = two_part_protocols(self.spec)
        table = table_of(self.kept)
        official: dict[str, dict[str, list[str]]] = {}
        if self.by_file:
            official = {name: self._items(name) for name in protocols if name in GROUPED_BY}
        elif self.spec.splits is not None:
            official = {name: {part: list(names) for part, names in lists.items()} for name, lists in self._by_rule()}
        for name in self.incoming.stated.keys() & (set(STATED) | set(self.spec.protocols)) - official.keys():
            official[name] = self._items(name)
        for name, lists in official.items():
            part_of = {item: part for part in PARTS for item in lists[part]}
            table[f"official_{name}"] = [part_of.get(item, "") for item in table["item"]]
        for name in self.incoming.stated:
            if name in protocols or name in official:
                self._compare(protocols.get(name) or registry.load("protocols", name), table)
            else:
                self.notes.append(f"its split {name!r} is unknown here: left out")
        return official

    def _by_rule(self) -> Iterable[tuple[str, Mapping[str, Sequence[str]]]]:
        """Return the splits that the dataset's own rule gives, where every clip's name says what it goes by."""
        if self.spec.splits is None or any(facts.label is None for facts in self.kept.values()):
            return ()
        columns = ("label", "subject", "camera", "setup", "replication")
        items = [
            RawItem(name, {}, tuple((column, getattr(facts, column)) for column in columns))
            for name, facts in self.kept.items()
        ]
        return self.spec.splits(items).items()

    def _items(self, protocol: str) -> dict[str, list[str]]:
        """Return the raw items of each part, as the file states them."""
        stated = self.incoming.stated.get(protocol, {})
        names = {part: [name for name in stated.get(part, ()) if name in self.kept] for part in PARTS}
        return {part: sorted({self.kept[name].item for name in names[part]}) for part in PARTS}

    def _compare(self, protocol: ProtocolSpec, table: pd.DataFrame) -> None:
        """Compare the file's lists with the parts that the protocol gives."""
        split = protocol.split(table)
        ours = np.full(len(table), "neither", object)
        ours[split.train], ours[split.test] = "train", "test"
        stated = self.incoming.stated[protocol.name]
        theirs = {name: part for part in PARTS for name in stated.get(part, ())}
        differ = [
            (name, theirs.get(name, "neither"), part)
            for name, part in zip(table["name"], ours, strict=True)
            if theirs.get(name, "neither") != part
        ]
        if absent := theirs.keys() - self.seen:
            text = f"{protocol.name}: the file's lists name {len(absent):,} clips that it does not hold"
            self.warnings.append(f"{text} (the first is {min(absent)!r})")
        if not differ:
            rule = [f"{protocol.name}: the file's parts are those of the published rule"]
            self.notes += [] if self.by_file or protocol.name in STATED else rule
            return
        name, their, our = differ[0]
        text = (
            f"{protocol.name}: the file puts {len(differ):,} of {len(table):,} clips into another part (the first is "
        )
        text += f"{name}: {their} there, {our} here)"
        if self.by_file:
            raise StarsBenchError(f"{self.path}: {text}; this protocol cannot be imported without the clips' names")
        self.warnings.append(f"{text}; the published rule counts")

    def quality(self, profile: str) -> QualityReport:
        """Return the quality report of the import."""
        # A dataset that brings its splits, and whose clips are not counted, is whole if all of the file is.
        items = [RawItem(facts.item, {}) for facts in self.kept.values()] if self.spec.protocols else ()
        found = Found(items, ignored=dict(self.ignored))
        report = assess(
            self.spec, profile, found, self.incoming.total, list(self.kept), self.labels, self.set_aside, {}
        )
        if not self.incoming.unnamed:
            return report
        # Placeholders cannot show what is missing, nor that nothing is, nor what does not belong there.
        return replace(report, complete=False, missing={}, unlisted=0, first_unlisted="")
