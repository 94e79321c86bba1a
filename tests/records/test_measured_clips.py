"""Who is in a test part: persons from four on, performances whatever the camera, and words where nothing is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from stars_bench.api import DatasetSpec
from stars_bench.datasets.ntu import NTU60, parse_name
from stars_bench.datasets.pku_mmd import PKU1, PKU2
from stars_bench.records.measured_clips import MeasuredClips


class Prepared:
    """A prepared dataset as far as it is asked."""

    def __init__(self, spec: DatasetSpec, names: list[str], **columns: list[int]) -> None:
        self.spec = spec
        facts = [spec.read_name(name) for name in names] if spec.read_name and not columns else []
        known = {key: [getattr(one, key) or 0 for one in facts] or [0] * len(names) for key in COLUMNS}
        self.table = pd.DataFrame({"name": names} | known | columns)


COLUMNS = ("label", "subject", "setup", "camera", "replication")


def clips_of(spec: DatasetSpec, names: list[str], **columns: list[int]) -> MeasuredClips:
    return MeasuredClips.of(Prepared(spec, names, **columns), np.arange(len(names)))  # type: ignore[arg-type]


def test_three_cameras_see_one_performance_of_ntu() -> None:
    names = [f"S001C{camera:03}P{p:03}R{r:03}A001" for p in (1, 2, 3, 5) for r in (1, 2) for camera in (1, 2, 3)]
    clips = clips_of(NTU60, names)
    assert (clips.persons, clips.performances, [*clips.units]) == (4, 8, ["person", "performance"])
    assert np.array_equal(clips.units["performance"], np.repeat(np.arange(8), 3))
    assert clips.numbers["subject"].tolist() == [parse_name(name)[2] for name in names]


def test_other_setups_repetitions_and_classes_are_other_performances() -> None:
    names = ["S001C001P001R001A001", "S002C001P001R001A001", "S001C001P001R002A001", "S001C001P001R001A002"]
    assert clips_of(NTU60, names).performances == 4


@pytest.mark.parametrize(("persons", "units"), [(3, ["performance"]), (4, ["person", "performance"])])
def test_persons_are_sampled_from_four_on(persons: int, units: list[str]) -> None:
    clips = clips_of(NTU60, [f"S001C001P00{p}R001A001" for p in range(1, persons + 1)])
    assert (clips.persons, [*clips.units]) == (persons, units)


def test_a_scene_of_pku_is_one_performance_a_label_row_and_names_no_person() -> None:
    names = [f"{scene:04}-{camera}_{row}" for scene in (2, 3, 5, 7) for camera in "LMR" for row in (0, 1)]
    clips = clips_of(PKU1, names)
    assert (clips.persons, clips.performances, [*clips.units]) == (None, 8, ["performance"])
    assert clips.units["performance"][0] == clips.units["performance"][2]  # 0002-L_0, 0002-M_0


def test_phase_two_names_its_persons() -> None:
    names = [f"A{p:02}N01-{camera}_{row}" for p in (1, 2, 3, 4) for camera in "LM" for row in (0, 1)]
    clips = clips_of(PKU2, names)
    assert (clips.persons, clips.performances) == (4, 8)


def test_data_that_names_nothing_has_independent_clips() -> None:
    spec = replace(NTU60, read_name=None)
    clips = clips_of(spec, ["a", "b", "c"])
    assert (clips.persons, clips.performances, [*clips.units]) == (None, None, ["clip"])


def test_a_described_dataset_has_performances_of_all_its_columns_but_the_camera() -> None:
    spec = replace(NTU60, read_name=None)
    clips = clips_of(spec, ["a", "b", "c"], label=[0, 0, 1], subject=[7, 7, 7], camera=[1, 2, 1])
    assert (clips.persons, clips.performances) == (1, 2)
    assert clips.units["performance"].tolist() == [0, 0, 1]
