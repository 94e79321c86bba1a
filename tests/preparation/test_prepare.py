"""prepare: the same bytes however it runs, whole or not at all, and nothing overwritten that is not its own."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from rich.console import Console

from stars_bench.api import Clip, Profile, RawItem
from stars_bench.datasets.ntu import NTU60, NTU120
from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.pku_mmd import PKU1, PKU2, SLICES
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.preparation.prepare import COMPILING, ON_DUPLICATE, PrepareReport, prepare
from stars_bench.preparation.verify import verify
from stars_bench.protocols.splits import make_split
from stars_bench.protocols.standard import XSUB
from stars_bench.storage import shards
from stars_bench.storage.compression import COMPRESSIONS
from stars_bench.storage.quality import TAKEN, QualityReport, render, verdict
from stars_bench.storage.shards import open_dataset, prepared_datasets
from tests.datasets.raw_writers import one_person, write_ntu, write_pku
from tests.killed import left_by_a_killed_process

NAMES = [f"S{setup:03}C00{camera}P008R001A{action:03}" for setup in (1, 2) for camera in (1, 2, 3) for action in (1, 2)]
SHARD = 40_000  # raw bytes: three clips of five frames


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    write_ntu(tmp_path / "raw", NAMES)
    return tmp_path / "raw"


def run(raw: Path, data_dir: Path, jobs: int = 1, **options: Any) -> PrepareReport:
    return prepare(NTU60, [raw], data_dir, jobs=jobs, shard_bytes=SHARD, **options)


def shard_bytes(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.h5"))}


def test_one_and_two_processes_write_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    one, two = run(raw, tmp_path / "one", jobs=1), run(raw, tmp_path / "two", jobs=2)
    assert one.shards == two.shards > 3
    assert shard_bytes(one.folder) == shard_bytes(two.folder)
    assert one.digest == two.digest


def test_a_killed_run_continues_and_ends_with_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    whole = run(raw, tmp_path)
    expected = shard_bytes(whole.folder)
    (whole.folder / "index.json").unlink()
    (whole.folder / "shard-00001.h5").unlink()
    (whole.folder / "shard-00002.h5").write_bytes(expected["shard-00002.h5"][:1000])
    left = left_by_a_killed_process(whole.folder / "shard-00001.h5")
    with pytest.raises(UsageError, match="unfinished"):
        open_dataset(tmp_path, "ntu60")
    again = run(raw, tmp_path)
    assert again.reused == whole.shards - 2
    assert shard_bytes(again.folder) == expected
    assert again.digest == whole.digest
    assert again.quality == whole.quality
    assert not left.exists()


def test_a_finished_dataset_is_not_converted_again(raw: Path, tmp_path: Path) -> None:
    first, second = run(raw, tmp_path), run(raw, tmp_path)
    assert not first.unchanged
    assert second.unchanged
    assert (second.digest, second.quality) == (first.digest, first.quality)


def test_other_files_or_settings_replace_nothing_unless_asked(raw: Path, tmp_path: Path) -> None:
    before = run(raw, tmp_path)
    with pytest.raises(UsageError, match=r"another limit or compression, or from other raw files .*; --force"):
        run(raw, tmp_path, limit=4)
    assert open_dataset(tmp_path, "ntu60").digest == before.digest
    after = run(raw, tmp_path, limit=4, overwrite=True)
    assert open_dataset(tmp_path, "ntu60").num_clips == 4
    assert len(shard_bytes(after.folder)) == after.shards < before.shards


def test_an_unfinished_run_of_other_settings_is_not_replaced_either(raw: Path, tmp_path: Path) -> None:
    (run(raw, tmp_path).folder / "index.json").unlink()
    with pytest.raises(UsageError, match="unfinished run with other"):
        run(raw, tmp_path, limit=4)


def test_an_archive_and_several_folders_give_the_dataset_that_one_folder_gives(raw: Path, tmp_path: Path) -> None:
    expected = run(raw, tmp_path / "folder")
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.write(raw / f"{name}.skeleton", f"nturgb+d_skeletons/{name}.skeleton")
    assert run(tmp_path / "all.zip", tmp_path / "zip", jobs=2).digest == expected.digest
    (tmp_path / "a" / "deeper").mkdir(parents=True)
    for name in NAMES[:5]:
        shutil.copy(raw / f"{name}.skeleton", tmp_path / "a" / "deeper")
    shutil.copy(tmp_path / "all.zip", tmp_path / "a")
    several = prepare(NTU60, [tmp_path / "a", raw], tmp_path / "mix", jobs=1, shard_bytes=10**6)
    assert several.digest == expected.digest
    assert several.shards == 1


def test_what_is_read_is_what_was_cleaned(raw: Path, tmp_path: Path) -> None:
    run(raw, tmp_path)
    prepared = open_dataset(tmp_path, "ntu60")
    joints = prepared.load()
    table = prepared.table
    assert list(table["name"]) == NAMES
    assert list(table.columns[:9]) == [
        *("name", "label", "subject", "camera", "setup", "replication", "num_frames", "num_bodies", "offset"),
    ]
    assert joints.shape == ((table["num_frames"] * table["num_bodies"]).sum(), 25, 3)
    profile = NTU60.profiles["mamp"]
    for item, row in zip(NTU60.find([raw]).items, table.itertuples(), strict=True):
        (clip,) = NTU60.convert(item, {"skeleton": item.sources["skeleton"].path.read_bytes()}, profile)
        rows = joints[row.offset : row.offset + row.num_bodies * row.num_frames]
        np.testing.assert_array_equal(rows.reshape(clip.bodies.shape), clip.bodies)  # type: ignore[union-attr]
        assert (row.label, row.camera, row.setup) == (clip.label, clip.camera, clip.setup)  # type: ignore[union-attr]


def test_a_prepared_dataset_knows_what_it_is(raw: Path, tmp_path: Path) -> None:
    report = run(raw, tmp_path)
    (prepared,) = prepared_datasets(tmp_path)
    assert (prepared.name, prepared.profile, prepared.digest) == ("ntu60", NTU60.profiles["mamp"], report.digest)
    assert prepared.spec is NTU60
    assert (prepared.absent_body, prepared.complete, prepared.num_clips) == ("zero", False, len(NAMES))
    assert prepared.quality == report.quality


def test_the_digest_is_of_the_clips_not_of_how_they_are_stored(raw: Path, tmp_path: Path) -> None:
    many = run(raw, tmp_path / "many")
    one = prepare(NTU60, [raw], tmp_path / "one", jobs=1)
    assert (many.shards > 1, one.shards) == (True, 1)
    assert many.digest == one.digest
    (raw / f"{NAMES[0]}.skeleton").write_bytes(one_person(5, seed=99))
    assert prepare(NTU60, [raw], tmp_path / "other", jobs=1).digest != one.digest


def test_faults_are_set_aside_and_the_others_go_on(raw: Path, tmp_path: Path) -> None:
    (raw / f"{NAMES[0]}.skeleton").write_bytes(one_person()[:2000])
    (raw / f"{NAMES[5]}.skeleton").write_bytes(b"0\n")
    (raw / "holiday.skeleton").write_bytes(b"0\n")
    write_ntu(raw, ["S001C002P005R002A008"])
    report = run(raw, tmp_path, jobs=2)
    assert report.set_aside == 3
    assert report.quality.clips == len(NAMES) - 2
    assert report.quality.count("missing-list") == 1
    places = {item.name: item.where for item in report.quality.set_aside if item.kind == "fault"}
    assert places[NAMES[5]] == f"{raw / NAMES[5]}.skeleton:1"


def test_nothing_found_and_everything_set_aside_are_errors(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(StarsBenchError, match="no raw files of ntu120"):
        prepare(NTU120, [tmp_path / "raw"], tmp_path / "data")
    (tmp_path / "raw" / f"{NAMES[0]}.skeleton").write_bytes(b"0\n")
    with pytest.raises(StarsBenchError, match=r"all 1 were set aside.*must be positive"):
        prepare(NTU120, [tmp_path / "raw"], tmp_path / "data")
    write_ntu(tmp_path / "raw", [NAMES[0]])
    assert prepare(NTU120, [tmp_path / "raw"], tmp_path / "data").quality.clips == 1


def test_shards_packed_otherwise_hold_the_same_clips_and_replace_nothing(raw: Path, tmp_path: Path) -> None:
    packed = run(raw, tmp_path / "packed")
    plain = run(raw, tmp_path / "plain", compression="none")
    assert packed.digest == plain.digest
    assert shard_bytes(packed.folder) != shard_bytes(plain.folder)
    with pytest.raises(UsageError, match="compression"):
        run(raw, tmp_path / "packed", compression="none")


def test_a_parameter_of_the_profile_can_be_changed_and_is_kept(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"0002-L": "3,10,40,1\n"})

    def pku(**options: Any) -> PrepareReport:
        return prepare(PKU1, [tmp_path / "raw"], tmp_path, jobs=1, **options)

    usual = pku()
    with pytest.raises(UsageError, match="was prepared with max_frames = 300, not 20; --force replaces it"):
        pku(parameters={"max_frames": 20})
    assert pku(parameters={"max_frames": 20}, overwrite=True).digest != usual.digest
    prepared = open_dataset(tmp_path, "pku1")
    assert prepared.profile.parameters["max_frames"] == 20
    assert list(prepared.table["num_frames"]) == [20]
    with pytest.raises(UsageError, match=r"profile mamp: no parameter 'slices'; there are .*max_frames"):
        pku(parameters={"slices": 1})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compression": "zip"}, "--compression zip: it must be gzip or none"),
        ({"on_duplicate": "last"}, "--on-duplicate last: it must be refuse or first"),
        ({"backend": "slurm"}, "--backend slurm: there is no such backend; there are dask, loky"),
        ({"backend": "dask"}, "needs --scheduler"),
        ({"scheduler": "tcp://here:1"}, "--scheduler: only for --backend dask"),
    ],
)
def test_options_that_cannot_be_are_told_in_one_line(
    raw: Path, tmp_path: Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run(raw, tmp_path, **options)
    assert not (tmp_path / "ntu60").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_reads_much_is_loaded_once_and_compiling_it_is_said(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    size = sum(path.stat().st_size for path in raw.iterdir())
    calls: list[int] = []
    said: list[tuple[str, int, int]] = []

    def warm_up() -> None:
        calls.append(os.getpid())
        numba.njit(lambda: 0)() if len(calls) == 1 else None

    def convert(name: str, worth: int) -> list[tuple[str, int, int]]:
        monkeypatch.setattr(compiled_code, "WORTH_LOADING", worth)
        spec = replace(NTU60, warm_up=warm_up)
        options: dict[str, Any] = {"jobs": jobs, "shard_bytes": SHARD}
        prepare(spec, [raw], tmp_path / name, find_progress=lambda *what: said.append(what), **options)
        return [what for what in said if what[0] == COMPILING]

    assert (convert("little", size), calls) == ([], [])
    assert convert("much", size - 1) == [(COMPILING, 0, 1), (COMPILING, 1, 1)]
    assert calls[0] == os.getpid()
    said.clear()
    assert convert("compiled", size - 1) == []


def test_what_is_generated_loads_no_parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_code, "WORTH_LOADING", 0)
    calls: list[str] = []
    prepare(replace(SYNTHETIC, warm_up=lambda: calls.append("loaded")), [], tmp_path, jobs=1, limit=2)
    assert calls == []


def test_synthetic_clips_are_generated_without_raw_files(tmp_path: Path) -> None:
    one = prepare(SYNTHETIC, [], tmp_path / "one", jobs=1, limit=12)
    two = prepare(SYNTHETIC, [], tmp_path / "two", jobs=2, limit=12, shard_bytes=1)
    assert (one.quality.clips, one.quality.faults, one.shards) == (12, 0, 1)
    assert (one.digest, two.shards > 1) == (two.digest, True)
    assert prepare(SYNTHETIC, [], tmp_path / "one", jobs=1, limit=12).unchanged
    with pytest.raises(UsageError, match="--force"):
        prepare(SYNTHETIC, [], tmp_path / "one", jobs=1, limit=6)
    assert open_dataset(tmp_path / "one", "synthetic").table["name"].is_unique


def test_unknown_profiles_and_absent_datasets_are_told_in_one_line(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no profile 'x': there are mamp"):
        run(raw, tmp_path, profile="x")
    with pytest.raises(UsageError, match="stars-bench prepare ntu60"):
        open_dataset(tmp_path, "ntu60")
    with pytest.raises(UsageError, match="ntu61"):
        open_dataset(tmp_path, "ntu61")


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib_backends_do_the_same_tasks(raw: Path, tmp_path: Path, backend: str) -> None:
    expected = run(raw, tmp_path / "here")
    found = run(raw, tmp_path / "there", jobs=2, backend=backend)
    assert shard_bytes(found.folder) == shard_bytes(expected.folder)


@pytest.mark.slow
def test_a_dask_cluster_does_the_same_tasks(raw: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    expected = run(raw, tmp_path / "here")
    seen: list[int] = []
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        found = run(
            raw,
            tmp_path / "there",
            backend="dask",
            scheduler=address,
            progress=lambda done, *_: seen.append(done),
        )
    assert shard_bytes(found.folder) == shard_bytes(expected.folder)
    assert len(set(seen)) > 3  # shard by shard


def test_a_plug_in_that_gives_no_proper_clip_is_told_so(raw: Path, tmp_path: Path) -> None:
    def convert(item: RawItem, _data: object, _profile: Profile) -> list[Clip]:
        return [Clip(item.name, 0, 1, 1, 1, 1, np.zeros((1, 5, 24, 3), np.float32), "")]

    with pytest.raises(StarsBenchError, match=r"bodies have shape \(1, 5, 24, 3\)"):
        prepare(replace(NTU60, convert=convert), [raw], tmp_path, jobs=1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_progress_ends_with_everything_done(raw: Path, tmp_path: Path, jobs: int) -> None:
    seen: list[tuple[int, int, int]] = []
    run(raw, tmp_path, jobs=jobs, progress=lambda *state: seen.append(state))
    assert seen[0] == (0, len(NAMES), 0)
    assert seen[-1] == (len(NAMES), len(NAMES), 0)
    assert len(seen) > 3
    assert [state[0] for state in seen] == sorted(state[0] for state in seen)


def test_an_index_that_is_not_readable_is_told_and_can_be_replaced(raw: Path, tmp_path: Path) -> None:
    folder = run(raw, tmp_path).folder
    (folder / "index.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        open_dataset(tmp_path, "ntu60")
    assert run(raw, tmp_path, overwrite=True).quality.clips == len(NAMES)


def test_official_splits_become_columns(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"0002-L": "3,10,40,1\n4,1,9,1\n", "0002-M": "1,0,20,1\n"})
    prepare(PKU1, [tmp_path / "raw"], tmp_path, jobs=1)
    table = open_dataset(tmp_path, "pku1").table
    assert list(table["official_xsub"]) == ["train", "train", "test"]
    assert list(table["item"]) == ["0002-L", "0002-L", "0002-M"]


def test_complete_means_all_expected_clips(raw: Path, tmp_path: Path) -> None:
    quality = run(raw, tmp_path).quality
    assert not quality.complete
    assert quality.missing["setup"]["1"] == (6, 2872)
    assert "Absent setups: 3 4 5" in " ".join(str(render_text(quality)).split())
    assert prepare(SYNTHETIC, [raw], tmp_path).quality.expected is None


def test_the_report_fits_80_columns(raw: Path, tmp_path: Path) -> None:
    long = raw / ("a very long folder name " * 5)
    write_ntu(long, ["S001C001P002R001A001"])
    (long / "S001C001P002R001A001.skeleton").write_bytes(b"0\n")
    text = render_text(run(raw, tmp_path).quality)
    assert max(map(len, text.splitlines())) <= 80
    assert "must be positive" in text


def test_the_report_is_kept_in_the_index(raw: Path, tmp_path: Path) -> None:
    report = run(raw, tmp_path)
    index = json.loads((report.folder / "index.json").read_text())
    assert QualityReport.from_json(index["quality"]) == report.quality


def render_text(quality: QualityReport) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(render(quality))
    return console.export_text()


def test_force_mends_a_damaged_shard(raw: Path, tmp_path: Path) -> None:
    folder = run(raw, tmp_path).folder
    whole = shard_bytes(folder)
    (folder / "shard-00001.h5").write_bytes(whole["shard-00001.h5"][:500])
    with pytest.raises(UsageError, match=r"shard-00001\.h5.*--force"):
        _ = open_dataset(tmp_path, "ntu60").table
    run(raw, tmp_path, overwrite=True)
    assert shard_bytes(folder) == whole


def test_force_keeps_the_old_data_until_the_new_are_whole(raw: Path, tmp_path: Path, monkeypatch) -> None:
    folder = run(raw, tmp_path).folder
    (folder / "notes.txt").write_text("a user's")
    whole = shard_bytes(folder)
    write = shards.write_shard

    def fail_at_the_second(path: Path, *arguments: Any) -> Any:
        if path.name == "shard-00001.h5":
            raise OSError(errno.ENOSPC, "full")
        return write(path, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(shards, "write_shard", fail_at_the_second)
        with pytest.raises(StarsBenchError, match=r"mamp: cannot be written .*disk"):
            run(raw, tmp_path, overwrite=True, limit=5)
    assert shard_bytes(folder) == whole
    assert verify(open_dataset(tmp_path, "ntu60")).ok
    assert [dataset.num_clips for dataset in prepared_datasets(tmp_path)] == [len(NAMES)]
    assert run(raw, tmp_path, overwrite=True, limit=5).quality.clips == 5
    assert open_dataset(tmp_path, "ntu60").num_clips == 5
    assert (folder / "notes.txt").read_text() == "a user's"
    assert [path.name for path in folder.parent.iterdir()] == ["mamp"]


def test_the_same_files_by_another_path_are_the_same_dataset(raw: Path, tmp_path: Path, monkeypatch) -> None:
    write_ntu(raw, ["S001C002P005R002A008"])  # on the published missing list
    run(raw, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert run(Path("raw"), tmp_path / "data").unchanged


@pytest.mark.parametrize("gone", [None, "skeleton/A01N01-M.txt", "cross-subject.txt"])
def test_a_dataset_is_partial_when_listed_videos_or_split_files_are_missing(tmp_path: Path, gone: str | None) -> None:
    write_pku(tmp_path / "raw", {"A01N01-L": "1,0,5,1\n", "A01N01-M": "2,0,5,1\n"})
    if gone:
        (tmp_path / "raw" / gone).unlink()
    quality = prepare(PKU2, [tmp_path / "raw"], tmp_path / "data", jobs=1).quality
    assert quality.complete == (gone is None)
    assert verdict(quality).startswith("Complete" if gone is None else "Partial")


def test_names_that_the_dataset_does_not_have_are_kept_counted_apart_and_told(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", ["S001C001P001R001A001", "S001C001P030R001A001", "S001C001P031R001A001"])
    quality = prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", jobs=1).quality
    assert (quality.clips, quality.unlisted) == (3, 2)
    assert verdict(quality).startswith("Partial: 1 of 56,578 clips (0.0 %).")
    strange = (
        f"2 clips have names that ntu60 does not have (the first: S001C001P030R001A001), kept all the same. {TAKEN}"
    )
    assert verdict(quality).endswith(strange)
    report = verify(open_dataset(tmp_path / "data", "ntu60"))
    assert (report.ok, len(report.missing), report.unlisted.strip()) == (True, 56_577, strange)


def test_without_its_split_file_a_protocol_says_which_is_missing(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"A01N01-L": "1,0,5,1\n", "A01N01-M": "2,0,5,1\n"})
    (tmp_path / "raw" / "cross-subject.txt").unlink()
    prepare(PKU2, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    with pytest.raises(StarsBenchError, match="no official split file"):
        make_split(XSUB, "pku2", open_dataset(tmp_path / "data", "pku2").table, complete=False)


def test_the_command_line_offers_what_there_is() -> None:
    from typer.testing import CliRunner

    from stars_bench.cli import app

    shown = CliRunner().invoke(app, ["prepare", "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"}).output
    for choices in ("|".join(COMPRESSIONS), "|".join(ON_DUPLICATE), "|".join(SLICES)):
        assert choices in shown
    assert max(map(len, shown.splitlines())) <= 80
