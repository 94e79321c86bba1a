"""The package as a library: a tested list of names, nothing heavy at import, strings and paths alike, types."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import stars_bench
from stars_bench import api
from stars_bench.data import transforms
from stars_bench.data.torch_dataset import ClipDataset, Parts
from stars_bench.datasets.ntu import NTU60
from stars_bench.experiments.public.results import RunResults
from stars_bench.preparation.prepare import PrepareReport
from stars_bench.preparation.verify import VerifyReport
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.storage.shards import PreparedDataset
from tests.datasets.raw_writers import write_ntu
from tests.paths import HISTORIC

NAMES = ["S001C001P001R001A001", "S001C002P001R001A001", "S002C003P008R002A060"]
HEAVY = ("numpy", "pandas", "torch", "h5py", "numba", "rich", "typer", "pydantic", "sklearn", "scipy")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_ntu(tmp_path / "raw", NAMES)
    return tmp_path / "raw"


def test_the_public_names_are_these() -> None:
    assert stars_bench.__all__ == [
        "ClipDataset",
        "DatasetSpec",
        "Leaderboard",
        "PackReport",
        "Parts",
        "PrepareReport",
        "PreparedDataset",
        "RunResults",
        "StarsBenchError",
        "SweepResults",
        "UnpackReport",
        "UsageError",
        "VerifyReport",
        "__version__",
        "evaluate",
        "leaderboard",
        "load",
        "load_encoder",
        "open_dataset",
        "pack",
        "prepare",
        "results",
        "run",
        "sweep",
        "transforms",
        "unpack",
        "verify",
    ]
    assert stars_bench.__all__ == sorted(stars_bench.__all__)
    assert dir(stars_bench) == stars_bench.__all__


def test_the_names_for_plug_ins_are_these() -> None:
    assert api.__all__ == [
        "AbsentBody",
        "Citation",
        "Clip",
        "ClipInput",
        "ConfigT",
        "Cost",
        "DatasetSpec",
        "Encoder",
        "Evaluation",
        "FeatureQueue",
        "Found",
        "LoggedRun",
        "Logger",
        "Method",
        "MomentumTeacher",
        "NameFacts",
        "Outcome",
        "Profile",
        "ProtocolSpec",
        "RawItem",
        "Recipe",
        "RecipeChoice",
        "Run",
        "Select",
        "SetAside",
        "Skeleton",
        "Source",
        "Split",
        "SplitStep",
        "Stage",
        "StarsBenchError",
        "Subject",
        "TrainingClips",
        "TrainingTime",
        "UsageError",
        "augment",
        "cosine_momentum",
        "parse_ntu",
        "random",
        "transforms",
        "warmup_cosine",
    ]
    assert dir(api) == api.__all__
    assert all(getattr(api, name) is not None for name in api.__all__)
    assert api._LAZY.keys() <= set(api.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        api.Trainer  # noqa: B018


def test_what_a_plug_in_is_given_has_types_and_no_any() -> None:
    for owner in (
        api.Run,
        api.Method,
        api.Evaluation,
        api.TrainingClips,
        api.Stage,
        api.SplitStep,
        api.Subject,
        api.Outcome,
    ):
        said = [str(value) for value in vars(owner).get("__annotations__", {}).values()]
        for function in vars(owner).values():
            function = getattr(function, "fget", function)
            said += [str(value) for value in getattr(function, "__annotations__", {}).values()]
        assert said
        assert not [one for one in said if "Any" in one.replace("AnyT", "")], owner


def test_every_public_name_is_there_and_is_what_it_says() -> None:
    assert stars_bench.UsageError is api.UsageError
    assert stars_bench.StarsBenchError is api.StarsBenchError
    assert stars_bench.DatasetSpec is api.DatasetSpec
    assert stars_bench.PreparedDataset is PreparedDataset
    assert stars_bench.PrepareReport is PrepareReport
    assert (stars_bench.ClipDataset, stars_bench.Parts) == (ClipDataset, Parts)
    assert stars_bench.VerifyReport is VerifyReport
    assert stars_bench.Leaderboard is Leaderboard
    assert stars_bench.RunResults is RunResults
    assert stars_bench.transforms is transforms
    assert all(
        callable(getattr(stars_bench, name))
        for name in stars_bench.__all__
        if name[0].islower() and name != "transforms"
    )
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        stars_bench.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, stars_bench; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_preparing_and_reading_need_no_torch(raw: Path, tmp_path: Path) -> None:
    code = (
        f"import sys, stars_bench as sb; sb.prepare('ntu60', {str(raw)!r}, {str(tmp_path)!r}, jobs=1); "
        f"data = sb.open_dataset('ntu60', {str(tmp_path)!r}); data.load(), data.table, sb.verify(data); "
        f"sb.results({str(tmp_path)!r}); import stars_bench.inspection.raw_file, stars_bench.inspection.dataset; "
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", [str, Path])
def test_the_whole_road_takes_strings_and_paths(raw: Path, tmp_path: Path, kind: type[str] | type[Path]) -> None:
    data_dir = kind(tmp_path / "data")
    report = stars_bench.prepare("ntu60", raw=[kind(raw)], data_dir=data_dir, jobs=1)
    assert report.quality.clips == 3
    dataset = stars_bench.open_dataset("ntu60", data_dir=data_dir)
    assert list(dataset.table["name"]) == NAMES
    assert dataset.load().shape == (15, 25, 3)
    np.testing.assert_array_equal(dataset.clip(NAMES[1])[0], dataset.load()[5:10])
    assert stars_bench.verify("ntu60", data_dir, raw=kind(raw)).ok
    assert stars_bench.verify(dataset).digest == report.digest


def test_a_spec_is_as_good_as_a_name(raw: Path, tmp_path: Path) -> None:
    named = stars_bench.prepare("ntu60", raw, tmp_path / "one", jobs=1)
    given = stars_bench.prepare(NTU60, raw, tmp_path / "two", "mamp", jobs=1)
    assert given.digest == named.digest


def test_options_and_parameters_reach_prepare(raw: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int, int]] = []
    report = stars_bench.prepare(
        "ntu60",
        raw,
        tmp_path,
        "raw",
        parameters={"max_frames": 3},
        jobs=1,
        limit=2,
        progress=lambda *call: calls.append(call),
        shard_bytes=1,
    )
    assert report.shards == 2
    assert calls[-1] == (2, 2, 0)
    assert set(stars_bench.open_dataset("ntu60", tmp_path).table["num_frames"]) == {3}
    with pytest.raises(stars_bench.UsageError, match="overwrite=True replaces it"):
        stars_bench.prepare("ntu60", raw, tmp_path, "raw", jobs=1)
    assert stars_bench.prepare("ntu60", raw, tmp_path, "raw", jobs=1, overwrite=True).quality.clips == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"zz": 1}, "zz: no such option of prepare; there are data_dir, profile, jobs"),
        ({"jobs": 0}, "jobs=0: a whole number, at least 1"),
        ({"limit": -1}, "limit=-1: a whole number, at least 1"),
        ({"limit": 2.5}, r"limit=2\.5: a whole number"),
        ({"shard_bytes": 0}, "shard_bytes=0: a whole number"),
        ({"dataset": 5}, "dataset: a name, not 5"),
        ({"dataset": "ntu6"}, "did you mean 'ntu60'"),
        ({"data_dir": 5}, "data_dir=5: give a path"),
        ({"raw": 5}, "raw=5: give a path"),
        ({"raw": [None]}, "raw=None: give a path"),
        ({"raw": "nowhere"}, 'raw="nowhere": there is no such folder'),
        ({"profile": "mam"}, "no profile 'mam'"),
        ({"parameters": {"frames": 3}}, "no parameter 'frames'"),
        ({"compression": "zip"}, 'compression="zip": it must be gzip or none'),
        ({"on_duplicate": "last"}, 'on_duplicate="last": it must be'),
        ({"backend": "ray"}, 'backend="ray": there is no such backend'),
        ({"scheduler": "tcp://here:1"}, 'scheduler: only for backend="dask"'),
    ],
    ids=str,
)
def test_prepare_refuses_in_one_line_before_anything_is_written(
    raw: Path, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(stars_bench.UsageError, match=said) as raised:
        stars_bench.prepare(**{"dataset": "ntu60", "raw": raw, "data_dir": tmp_path / "data"} | options)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "data").exists()


def test_what_is_no_name_or_no_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    uses: list[tuple[Callable[[], object], str]] = [
        (lambda: stars_bench.open_dataset(5), "dataset: a name, not 5"),
        (lambda: stars_bench.open_dataset("synthetic", 5), "data_dir=5: give a path"),
        (lambda: stars_bench.verify(5), "dataset: a name, not 5"),
        (lambda: stars_bench.load_encoder(5), "run_or_checkpoint=5: give a path"),
        (lambda: stars_bench.load_encoder(tmp_path / "no"), "there is no such folder or file"),
        (lambda: stars_bench.results(5), "runs_dir=5: give a path"),
        (lambda: stars_bench.leaderboard(5), "runs_dir=5: give a path"),
        (lambda: stars_bench.results(tmp_path / "no"), "no: there is no such folder of runs"),
        (lambda: stars_bench.leaderboard(tmp_path / "no"), "no: there is no such folder of runs"),
    ]
    for use, said in uses:
        with pytest.raises(stars_bench.UsageError, match=said):
            use()


def test_the_folders_of_the_environment_are_the_defaults(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STARS_BENCH_RAW", str(raw))
    stars_bench.prepare("ntu60", jobs=1)
    assert (tmp_path / "data" / "ntu60" / "mamp" / "index.json").exists()
    monkeypatch.setenv("STARS_BENCH_DATA", "elsewhere")
    with pytest.raises(stars_bench.UsageError, match="is not prepared in elsewhere"):
        stars_bench.open_dataset("ntu60")


def test_results_are_a_frame_with_a_row_a_measured_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stars_bench.results(tmp_path).empty
    historic = HISTORIC
    folder = tmp_path / "runs" / "ntu60" / "xsub" / "stars" / "key" / "seed0" / "records"
    folder.mkdir(parents=True)
    (folder / "one.json").write_bytes((historic / "record-v1.json").read_bytes())
    importlib.import_module("stars_bench.report.leaderboard")  # which must not put the package in the function's place
    frame = stars_bench.results(str(tmp_path / "runs"))
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["method"]) == {"mamp"}
    monkeypatch.setenv("STARS_BENCH_RUNS", str(tmp_path / "runs"))
    assert len(stars_bench.results()) == len(frame) > 0
    (folder / "two.json").write_text("{")
    with pytest.warns(UserWarning, match=r"two\.json"):
        assert len(stars_bench.results()) == len(frame)


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(stars_bench.__file__).parent / "py.typed").exists()
