"""A sweep's file: every combination is a run of one seed; what it does not know is refused with its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.sweeps import sweep_file

FILE = """
methods = ["mamp", "stars"]
on = ["ntu60:xsub", "ntu120:xset"]
streams = ["joint", "bone"]
seeds = [0, 1]
evaluations = "knn"
preset = "quick"

[set]
frames = 8

[grid]
lr = [1e-3, 1e-4]

[[points]]
dim = 16
depth = 1

[[points]]
dim = 32
depth = 2

[method.stars.grid]
temperature = [0.1, 0.2, 0.3]
"""


def test_every_combination_is_a_run(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    requests = sweep_file.read(path).requests(Path("data"), Path("runs"), "typed")
    settings = 2 * 2  # lr, points
    assert len(requests) == len(set(requests)) == 2 * 2 * 2 * (settings + 3 * settings)
    first = requests[0]
    assert (first.method, first.dataset, first.protocol, first.stream, first.seeds) == (
        "mamp",
        "ntu60",
        "xsub",
        "joint",
        (0,),
    )
    assert first.overrides == ("frames=8", "dim=16", "depth=1", "lr=0.001")
    assert (first.evaluations, first.preset, first.command) == (("knn",), "quick", "typed")
    assert requests[-1].overrides == ("frames=8", "dim=32", "depth=2", "lr=0.0001", "temperature=0.3")
    assert all("temperature" not in " ".join(one.overrides) for one in requests if one.method == "mamp")


def test_a_value_that_is_a_list_is_one_value_in_a_list() -> None:
    file = sweep_file.parse({"methods": "stgcn", "protocols": "xsub", "grid": {"milestones": [[1], [2, 3]]}}, "x")
    assert [one.overrides for one in file.requests(Path("d"), Path("r"))] == [
        ("milestones=[1]",),
        ("milestones=[2, 3]",),
    ]


def test_what_the_command_gives_stands_in_place_of_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text('methods = "raw"\nprotocols = "xsub"\nseeds = [0, 1]')
    found = sweep_file.read(path, {"protocols": ["xview", "xset"], "streams": ["joint", "bone"], "seeds": [7]})
    said = [(one.protocol, one.stream, one.seeds) for one in found.requests(Path("d"), Path("r"))]
    assert said == [(protocol, stream, (7,)) for protocol in ("xview", "xset") for stream in ("joint", "bone")]
    with pytest.raises(StarsBenchError, match=r"gone\.toml: there is no such file"):
        sweep_file.read(tmp_path / "gone.toml")


def test_datasets_and_protocols_are_combined() -> None:
    file = sweep_file.parse({"methods": "raw", "datasets": ["a", "b"], "protocols": ["xsub", "xview"]}, "x")
    assert file.places == [("a", "xsub"), ("a", "xview"), ("b", "xsub"), ("b", "xview")]
    assert sweep_file.parse({"methods": "raw", "protocols": "xsub"}, "x").places == [(None, "xsub")]


def test_settings_that_are_the_same_twice_are_one_run() -> None:
    content = {"methods": "raw", "protocols": "xsub", "seeds": [0, 0], "grid": {"frames": [8, 8]}}
    assert len(sweep_file.parse(content, "x").requests(Path("d"), Path("r"))) == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no methods": ({"protocols": "xsub"}, "methods"),
    "no protocol": ({"methods": "raw"}, "either protocols"),
    "both": ({"methods": "raw", "protocols": "xsub", "on": "a:b"}, "either protocols"),
    "on and datasets": ({"methods": "raw", "datasets": "a", "on": "a:b"}, "leave datasets out"),
    "on is no pair": ({"methods": "raw", "on": "ntu60"}, "on"),
    "another method": ({"methods": "raw", "protocols": "xsub", "method": {"mamp": {}}}, "mamp is not among methods"),
    "an unknown word": ({"methods": "raw", "protocols": "xsub", "gird": {}}, "gird"),
    "an empty list": ({"methods": "raw", "protocols": "xsub", "grid": {"lr": []}}, "grid.lr"),
    "no list": ({"methods": "raw", "protocols": "xsub", "grid": {"lr": 1}}, "grid.lr"),
    "a seed below 0": ({"methods": "raw", "protocols": "xsub", "seeds": [-1]}, "seeds"),
}


@pytest.mark.parametrize(("content", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(content: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=r"^here: ") as caught:
        sweep_file.parse(content, "here")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("methods = [")
    with pytest.raises(StarsBenchError, match=r"a\.toml: cannot be read"):
        sweep_file.read(tmp_path / "a.toml")
