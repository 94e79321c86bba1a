"""Import: the format seen by the file, whole or not at all, and nothing replaced unasked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.formats import FORMATS, export, import_file
from stars_bench.formats.catalog import recognise
from stars_bench.io.partial import machine
from stars_bench.storage.shards import PreparedDataset, open_dataset
from tests.killed import NO_PROCESS

READ = [name for name in FORMATS if not name.startswith("position")]  # placed clips go out alone


@pytest.mark.parametrize("name", READ)
def test_the_format_is_seen_by_the_file(name: str, ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, name, tmp_path / "x.pkl", "xsub")
    assert recognise(tmp_path / "x.pkl").name == name


def test_what_is_none_of_the_formats_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(UsageError, match=r"x\.txt: is no npz, \.pkl, \.mat and no folder"):
        import_file(tmp_path / "x.txt", "ntu60", tmp_path)
    with pytest.raises(UsageError, match="there is no such file"):
        import_file(tmp_path / "y.npz", "ntu60", tmp_path)
    with pytest.raises(UsageError, match="there is no such file"):
        import_file(tmp_path / "y.npz", "ntu60", tmp_path, format="mamp")
    with pytest.raises(UsageError, match="there is no format 'npz'"):
        import_file(tmp_path / "x.txt", "ntu60", tmp_path, format="npz")


@pytest.mark.parametrize("name", READ)
def test_the_same_file_again_is_nothing_to_do_and_another_is_refused(
    name: str, ntu60: PreparedDataset, tmp_path: Path
) -> None:
    export(ntu60, name, tmp_path / "a", "xsub")
    export(ntu60, name, tmp_path / "b", "xview")
    first = import_file(tmp_path / "a", "ntu60", tmp_path, "xsub", format=name)
    again = import_file(tmp_path / "a", "ntu60", tmp_path, "xsub", format=name)
    assert (first.unchanged, again.unchanged) == (False, True)
    assert (first.digest, first.quality) == (again.digest, again.quality)
    with pytest.raises(UsageError, match="imported from another file or with another protocol; --force replaces it"):
        import_file(tmp_path / "b", "ntu60", tmp_path, "xview", format=name)
    assert open_dataset(tmp_path, "ntu60").digest == first.digest
    import_file(tmp_path / "b", "ntu60", tmp_path, "xview", format=name, overwrite=True)


def test_an_import_that_fails_leaves_what_was_there(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "mamp", tmp_path / "a.npz", "xsub")
    before = import_file(tmp_path / "a.npz", "ntu60", tmp_path, "xsub")

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_file(tmp_path / "a.npz", "ntu60", tmp_path, "xsub", progress=stop, overwrite=True)
    assert open_dataset(tmp_path, "ntu60").digest == before.digest
    assert [path.name for path in (tmp_path / "ntu60").iterdir()] == ["imported-mamp"]


def test_of_several_imported_profiles_one_has_to_be_chosen(ntu60: PreparedDataset, tmp_path: Path) -> None:
    for name in ("mamp", "pyskl"):
        export(ntu60, name, tmp_path / name, "xsub")
        import_file(tmp_path / name, "ntu60", tmp_path, "xsub", format=name)
    with pytest.raises(UsageError, match="prepared as imported-mamp, imported-pyskl: choose with --profile"):
        open_dataset(tmp_path, "ntu60")
    with pytest.raises(
        UsageError, match=r"no profile 'imported-crossclr': there are mamp, .*imported-mamp, imported-pyskl"
    ):
        open_dataset(tmp_path, "ntu60", "imported-crossclr")


def test_progress_ends_at_all_clips(ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "mamp", tmp_path / "a.npz", "xsub")
    seen: list[tuple[int, int, int]] = []
    import_file(tmp_path / "a.npz", "ntu60", tmp_path, "xsub", progress=lambda *state: seen.append(state))
    assert seen[-1] == (54, 54, 0)


@pytest.mark.parametrize("protocol", ["xset", "fewshot"])
def test_a_protocol_that_a_file_cannot_state_is_refused(protocol: str, ntu60: PreparedDataset, tmp_path: Path) -> None:
    export(ntu60, "mamp", tmp_path / "a.npz", "xsub")
    with pytest.raises(UsageError, match=f"{protocol} is no protocol that a file for ntu60 can state"):
        import_file(tmp_path / "a.npz", "ntu60", tmp_path, protocol)


def test_clips_come_in_several_shards(ntu60: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(ntu60, "crossclr", tmp_path / "a", "xsub")
    one = import_file(tmp_path / "a", "ntu60", tmp_path)
    shutil.rmtree(one.folder)
    monkeypatch.setattr("stars_bench.formats.match_clips.SHARD_CLIPS", 10)
    several = import_file(tmp_path / "a", "ntu60", tmp_path)
    assert len(open_dataset(tmp_path, "ntu60").shards) == 6
    assert several.digest == one.digest


def test_what_a_killed_import_leaves_is_removed_and_that_of_another_machine_stays(
    ntu60: PreparedDataset, tmp_path: Path
) -> None:
    export(ntu60, "crossclr", tmp_path / "a", "xsub")
    folder = tmp_path / "ntu60"
    ours, theirs = (
        folder / f".imported-crossclr.{name}-{NO_PROCESS}-1.abc.partial" for name in (machine(), "00000000")
    )
    for left in (ours, theirs):
        left.mkdir(parents=True)
        (left / "shard-00000.h5").write_bytes(b"half")
    import_file(tmp_path / "a", "ntu60", tmp_path)
    assert not ours.exists()
    assert (theirs / "shard-00000.h5").exists()
    assert sorted(path.name for path in folder.iterdir()) == sorted([theirs.name, "imported-crossclr"])
