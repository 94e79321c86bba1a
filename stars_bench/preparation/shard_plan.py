"""Which raw files go into which shard: items in, one plan a shard out.

A plan depends on the items' names, sizes and times and on the settings, never on how many processes there are; its
digest covers all that decides what the shard holds, so one that is there with the same digest need not be made again.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stars_bench.api import DatasetSpec, Profile, RawItem, Source
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import Place, UnreadableSource
from stars_bench.io import files
from stars_bench.storage import compression as packing
from stars_bench.storage.shards import CLIPS_VERSION

SHARDS = 64  # that many or more, so that progress moves and workers end together ...
SMALLEST_SHARD, LARGEST_SHARD = 8 << 20, 256 << 20  # ... of raw bytes within these bounds (memory follows them)
LARGEST_COUNT = 2_048  # items a shard
GENERATED_BYTES = 1 << 20  # what an item without raw files counts: about three files of NTU RGB+D


@dataclass(frozen=True)
class Conversion:
    """What every task must know.

    Args:
        spec: The dataset.
        profile: How clips are cleaned.
        folder: Where shards are written.
        compression: Compression of the shards.
        num_bytes: Raw bytes of the whole conversion. Default: 0.
        generated: Whether clips are generated without raw files. Default: False.
    """

    spec: DatasetSpec
    profile: Profile
    folder: Path
    compression: str = packing.DEFAULT
    num_bytes: int = 0  # of all raw files, or what generated clips count: much is converted otherwise than little
    generated: bool = False  # whether the clips are generated: no text is read


@dataclass(frozen=True)
class ShardPlan:
    """One task: the items of a shard and where their bytes are, and the digest of all that decides its content.

    The items are kept pickled: as objects, those of 114,480 files take 100 MB, in every forked worker too.

    Args:
        number: Number of the shard.
        count: Number of items.
        num_bytes: Raw bytes of the items.
        digest: Digest of everything that decides the shard's content.
        pickled: The items and the places of their bytes, pickled.
    """

    number: int
    count: int  # of items
    num_bytes: int  # of their raw files, or what generated ones count
    digest: str
    pickled: bytes

    @property
    def file(self) -> str:
        """Its file name."""
        return f"shard-{self.number:05}.h5"

    def items(self) -> list[tuple[RawItem, tuple[Place, ...]]]:
        """Return the items, each with the places of its sources in their order."""
        items: list[tuple[RawItem, tuple[Place, ...]]] = pickle.loads(self.pickled)  # noqa: S301 (of this very process)
        return items


def make_plans(conversion: Conversion, items: Sequence[RawItem], shard_bytes: int | None = None) -> list[ShardPlan]:
    """Spread the items over shards, in their order. `shard_bytes`: raw bytes a shard; None to choose by the whole."""
    places = [tuple(map(_place, item.sources.values())) for item in items]
    sizes = [sum(place.size for place in mine) if mine else GENERATED_BYTES for mine in places]
    target = shard_bytes or min(max(sum(sizes) // SHARDS, SMALLEST_SHARD), LARGEST_SHARD)
    spec, profile = conversion.spec, asdict(conversion.profile)
    settings = files.digest_json([spec.name, profile, CLIPS_VERSION, spec.skeleton.joints, conversion.compression])
    plans: list[ShardPlan] = []
    for first, behind in _groups(sizes, target):
        mine = list(zip(items[first:behind], places[first:behind], strict=True))
        digest = files.digest_lines([settings, *(_line(item, where) for item, where in mine)])
        pickled = pickle.dumps(mine, pickle.HIGHEST_PROTOCOL)
        plans.append(ShardPlan(len(plans), len(mine), sum(sizes[first:behind]), digest, pickled))
    return plans


def _place(source: Source) -> Place:
    """Return where a source's bytes are; a source that is gone gets no place: only its clip is then lost."""
    try:
        return sources.place_of(source)
    except UnreadableSource:
        return Place(0, 0)


def _groups(sizes: Sequence[int], target: int) -> Iterable[tuple[int, int]]:
    """Yield ranges of items: as many as make `target` bytes, but at least one."""
    first, filled = 0, 0
    for number, size in enumerate(sizes):
        if number > first and (filled + size > target or number - first == LARGEST_COUNT):
            yield first, number
            first, filled = number, 0
        filled += size
    yield first, len(sizes)


def _line(item: RawItem, places: Sequence[Place]) -> str:
    parts = (f"{role}\t{place.size}\t{place.stamp}" for role, place in zip(item.sources, places, strict=True))
    facts = (f"{name}={value}" for name, value in item.facts)
    return "\t".join((item.name, *parts, *facts))
