"""Plans: the same files and settings give the same shards, and whatever decides their content changes the digest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from stars_bench.api import RawItem
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import UnreadableSource
from stars_bench.preparation import shard_plan
from stars_bench.preparation.shard_plan import Conversion, make_plans
from tests.datasets.raw_writers import write_ntu

NAMES = [f"S001C001P001R001A{action:03}" for action in range(1, 11)]


@pytest.fixture
def items(tmp_path: Path) -> list[RawItem]:
    write_ntu(tmp_path, NAMES, frames=2)
    return list(NTU60.find([tmp_path]).items)


@pytest.fixture
def conversion(tmp_path: Path) -> Conversion:
    return Conversion(NTU60, NTU60.profiles["mamp"], tmp_path)


def digests(conversion: Conversion, items: list[RawItem], shard_bytes: int = 12_000) -> list[str]:
    return [plan.digest for plan in make_plans(conversion, items, shard_bytes)]


def test_every_item_is_in_one_shard_and_their_order_is_kept(conversion: Conversion, items: list[RawItem]) -> None:
    for shard_bytes in (1, 12_000, 10**9, None):
        found = make_plans(conversion, items, shard_bytes)
        assert [item for plan in found for item, _ in plan.items()] == items
        assert [plan.number for plan in found] == list(range(len(found)))
        assert sum(plan.num_bytes for plan in found) == sum(
            item.sources["skeleton"].path.stat().st_size for item in items
        )
    assert len(make_plans(conversion, items, 1)) == len(items)
    assert len(make_plans(conversion, items)) == 1


def test_a_shard_holds_a_limited_number_of_items(
    conversion: Conversion, items: list[RawItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_plan, "LARGEST_COUNT", 4)
    assert [plan.count for plan in make_plans(conversion, items)] == [4, 4, 2]


def test_items_without_files_fill_shards_too(conversion: Conversion) -> None:
    generated = [RawItem(f"clip {number}", {}) for number in range(40)]
    assert [plan.count for plan in make_plans(conversion, generated)] == [8] * 5


def test_the_digest_depends_on_all_that_decides_the_content(
    conversion: Conversion, items: list[RawItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digests(conversion, items)
    profile = conversion.profile
    others = [
        replace(conversion, spec=NTU120),
        replace(conversion, compression="none"),
        replace(conversion, profile=replace(profile, parameters={**profile.parameters, "max_frames": 20})),
    ]
    for other in others:
        assert not set(before) & set(digests(other, items))
    assert digests(replace(conversion, num_bytes=7, folder=Path("elsewhere")), items) == before
    monkeypatch.setattr(shard_plan, "CLIPS_VERSION", 0)
    assert not set(before) & set(digests(conversion, items))


def test_a_file_that_changed_changes_its_own_shard_only(conversion: Conversion, items: list[RawItem]) -> None:
    before = digests(conversion, items)
    path = items[0].sources["skeleton"].path
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    after = digests(conversion, items)
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_a_file_that_is_gone_costs_its_own_clip_alone(conversion: Conversion, items: list[RawItem]) -> None:
    items[3].sources["skeleton"].path.unlink()
    [(item, (place,))] = [
        pair for plan in make_plans(conversion, items) for pair in plan.items() if not pair[1][0].size
    ]
    assert item.name == NAMES[3]
    with pytest.raises(UnreadableSource, match=NAMES[3]):
        sources.read(item.sources["skeleton"], place)
