"""check_dataset: what ships passes on made-up files, and each fault is told in its own line."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stars_bench.api import Clip, Found, Profile, RawItem, Skeleton
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.stage import clip_names
from stars_bench.datasets.synthetic.writer import write_raw
from stars_bench.testing import NotConforming, check_dataset


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    write_raw(folder, clip_names((1,), limit=4))
    return folder


@pytest.mark.parametrize("name", ["synthetic", "ntu60", "ntu120"])
def test_what_ships_conforms(name: str, raw: Path) -> None:
    check_dataset(name, raw)


def skeleton(**changes):
    return {"skeleton": replace(SYNTHETIC.skeleton, **changes)}


def clip(**changes):
    def convert(item, data, profile):
        return [
            replace(one, **{key: value(one) for key, value in changes.items()}) if isinstance(one, Clip) else one
            for one in SYNTHETIC.convert(item, data, profile)
        ]

    return {"convert": convert}


def found_twice(paths):
    items = SYNTHETIC.find(paths).items
    return Found([*items, items[0]])


COUNT = itertools.count()


def found_otherwise(paths):
    return Found(SYNTHETIC.find(paths).items[next(COUNT) % 2 :])


def not_finite(one):
    bodies = one.bodies.copy()
    bodies[0, 0, 0, 0] = np.nan
    return bodies


parents = SYNTHETIC.skeleton.parents
FAULTS = {
    "citation": ({"citation": "somebody"}, "citation must be a stars_bench.api.Citation"),
    "no folder": ({"name": "../x"}, "name '../x' becomes a folder"),
    "numbers as classes": ({"classes": (1, 2)}, "classes must have names: 1 is none"),
    "no skeleton": ({"skeleton": None}, "skeleton is not a stars_bench.api.Skeleton"),
    "no profile": ({"profiles": {"mamp": None}}, "profile 'mamp' is not a stars_bench.api.Profile"),
    "classes": ({"classes": ("a", "a")}, "classes must have names, each another"),
    "default": ({"default_profile": "none"}, "default_profile 'none' is not among the profiles"),
    "absent": (
        {"profiles": {"mamp": replace(SYNTHETIC.profiles["mamp"], absent_body="nan")}},
        "absent_body is 'nan'; it must be zero or duplicate",
    ),
    "profile": ({"profiles": {"other": SYNTHETIC.profiles["mamp"]}}, "profile 'other' is called 'mamp'"),
    "parameters": (
        {"profiles": {"mamp": Profile("mamp", "", {"cleaning": {1, 2}}, "zero")}},
        "parameters are not JSON",
    ),
    "joints": (skeleton(joints=("a",) * 25), "joints must have names, each another"),
    "parents": (skeleton(parents=parents[:-1]), "24 parents for 25 joints"),
    "outside": (skeleton(parents=(*parents[:-1], 25)), "parent 25 is not in 0..24"),
    "centre": (skeleton(centre=25), "centre 25 is not in 0..24"),
    "roots": (skeleton(parents=(*parents[:-1], 24)), "2 joints are their own parents"),
    "circle": ({"skeleton": Skeleton("c", ("a", "b", "c"), (0, 2, 1), 0)}, "'b' is in a circle of parents"),
    "twice": ({"find": found_twice}, "find gives two items of the name"),
    "otherwise": ({"find": found_otherwise}, "find gives other items, or another order, the second time"),
    "find": ({"find": lambda _: 1 / 0}, "find failed (ZeroDivisionError: division by zero)"),
    "lambda": ({"convert": lambda *_: []}, "cannot be sent to other processes"),
    "no clip": ({"convert": lambda *_: []}, "no clip of 4 items"),
    "convert": ({"convert": lambda *_: 1 / 0}, "convert failed on"),
    "result": ({"convert": lambda *_: [None]}, "convert gives a NoneType, not Clip or SetAside"),
    "shape": (clip(bodies=lambda one: one.bodies[0]), "bodies have shape"),
    "dtype": (clip(bodies=lambda one: one.bodies.astype(float)), "bodies are float64, not float32"),
    "finite": (clip(bodies=not_finite), "a coordinate is not finite"),
    "label": (clip(label=lambda _: 120), "label 120 is not in 0..119"),
    "subject": (clip(subject=lambda _: "P1"), "subject is 'P1', not a whole number"),
    "name": (clip(name=lambda _: "same"), "two clips are called 'same'"),
    "random": (clip(camera=lambda _: next(COUNT)), "is converted otherwise the second time"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_in_one_line(name: str, raw: Path) -> None:
    changes, told = FAULTS[name]
    with pytest.raises(NotConforming) as caught:
        check_dataset(replace(SYNTHETIC, **changes), raw)
    assert any(told in fault for fault in caught.value.faults), caught.value.faults
    assert "\n" not in str(caught.value)


def test_something_else_is_told(raw: Path) -> None:
    with pytest.raises(NotConforming, match=r"not a stars_bench\.api.DatasetSpec"):
        check_dataset(RawItem("a", {}), raw)  # type: ignore[arg-type]
