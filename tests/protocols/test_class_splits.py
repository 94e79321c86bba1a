"""Published class splits: the lists are those that were shipped, name real classes, and give the published counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stars_bench import registry
from stars_bench.api import ProtocolSpec, Split
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.protocols import class_splits
from stars_bench.protocols.class_splits import NovelConfig, ZeroShotConfig, class_list
from stars_bench.protocols.limited import LIMITED, LimitedConfig
from stars_bench.protocols.splits import make_split
from stars_bench.testing.protocol import ntu_table


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {name: ntu_table(name) for name in ("ntu60", "ntu120")}


def spec(name: str) -> ProtocolSpec:
    return registry.load("protocols", name)


def labels(table: pd.DataFrame, rows: np.ndarray) -> set[int]:
    return set((table["label"].to_numpy()[rows] + 1).tolist())


def test_every_list_is_registered_and_has_its_checksum() -> None:
    files = {path.stem for path in class_splits.FOLDER.glob("*.toml")}
    assert files == set(registry.CLASS_SPLITS)
    assert len((class_splits.FOLDER / "SHA256SUMS").read_text().splitlines()) == len(files)


@pytest.mark.parametrize("name", registry.CLASS_SPLITS)
def test_a_list_names_the_classes_of_its_datasets(name: str) -> None:
    found = class_list(name)
    parts = [found.novel, found.validation, found.base, found.excluded]
    for dataset in found.datasets:
        classes = registry.load("datasets", dataset).classes
        assert all(classes[number - 1] == said for part in parts for number, said in part.items())
    assert sum(map(len, parts)) == len({number for part in parts for number in part})
    if found.task == "zero-shot" and name.replace("-", "").removeprefix("zeroshot").isdigit():
        seen, unseen = map(int, name.split("-")[1:])
        assert (len(classes) - len(found.novel), len(found.novel)) == (seen, unseen)
        assert len(found.validation) in (0, unseen)


def test_a_list_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in class_splits.FOLDER.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changed = tmp_path / "zeroshot-55-5.toml"
    changed.write_text(changed.read_text().replace("\n57 =", "\n58 ="))
    monkeypatch.setattr(class_splits, "FOLDER", tmp_path)
    with pytest.raises(StarsBenchError, match="is not the list that was shipped"):
        class_list.__wrapped__("zeroshot-55-5")


def test_an_unknown_split_is_no_protocol() -> None:
    with pytest.raises(UsageError, match="no protocol is called 'zeroshot-55-6': did you mean 'zeroshot-5"):
        registry.load("protocols", "zeroshot-55-6")


@pytest.mark.parametrize(
    ("name", "dataset", "unseen_test", "seen_train"),
    [
        ("zeroshot-55-5", "ntu60", 1_368, 36_758),
        ("zeroshot-48-12", "ntu60", 3_291, 32_070),
        ("zeroshot-40-20", "ntu60", 5_497, 26_702),
        ("zeroshot-30-30", "ntu60", 8_238, 20_039),
        ("zeroshot-smie-1", "ntu60", 1_374, 36_745),
        ("zeroshot-smie-2", "ntu60", 1_374, 36_750),
        ("zeroshot-smie-3", "ntu60", 1_370, 36_759),
        ("zeroshot-110-10", "ntu120", 4_249, 57_767),
        ("zeroshot-96-24", "ntu120", 9_892, 50_141),
        ("zeroshot-80-40", "ntu120", 17_882, 42_850),
        ("zeroshot-60-60", "ntu120", 25_175, 31_208),
        ("zeroshot-smie-4", "ntu120", 4_236, 57_768),
        ("zeroshot-smie-5", "ntu120", 3_943, 57_484),
        ("zeroshot-smie-6", "ntu120", 3_949, 57_475),
    ],
)
def test_zero_shot_counts_are_the_published_ones(tables, name, dataset, unseen_test, seen_train) -> None:
    split = make_split(spec(name), dataset, tables[dataset], complete=True)
    novel = set(class_list(name).novel)
    test = tables[dataset]["label"].to_numpy()[split.test] + 1
    assert (len(split.train), int(np.isin(test, list(novel)).sum())) == (seen_train, unseen_test)
    assert len(split.test) == {"ntu60": 16_487, "ntu120": 50_919}[dataset]
    assert not labels(tables[dataset], split.train) & novel


def test_validation_classes_play_the_unseen_ones_which_are_in_no_part(tables) -> None:
    found, table = class_list("zeroshot-110-10"), tables["ntu120"]
    split = spec("zeroshot-110-10").split(table, ZeroShotConfig(part="validation"))
    assert len(labels(table, split.train)) == 100  # the circulating rs100_0.npy has 81
    assert labels(table, split.test) - labels(table, split.train) == set(found.validation)
    assert not labels(table, split.test) & set(found.novel)
    with pytest.raises(UsageError, match="has no published validation classes"):
        spec("zeroshot-smie-1").split(tables["ntu60"], ZeroShotConfig(part="validation"))


def test_clips_can_be_divided_by_camera_and_setup_as_star_has_it(tables) -> None:
    split = spec("zeroshot-55-5").split(tables["ntu60"], ZeroShotConfig(divided_by="xview"))
    assert set(tables["ntu60"]["camera"].to_numpy()[split.test]) == {1}
    split = spec("zeroshot-110-10").split(tables["ntu120"], ZeroShotConfig(divided_by="xset"))
    assert (tables["ntu120"]["setup"].to_numpy()[split.train] % 2 == 0).all()


def test_lists_that_papers_share_or_confuse() -> None:
    seventh = class_list("zeroshot-smie-7").novel
    assert class_list("zeroshot-46-5").novel == seventh
    assert class_list("zeroshot-star-3").novel != seventh


def test_dastm_has_80_base_20_validation_and_20_novel_classes(tables) -> None:
    table, found = tables["ntu120"], class_list("fewshot-dastm")
    split: Split = spec("fewshot-dastm").split(table, NovelConfig(clips_per_class=30))
    assert [len(found.base), len(found.validation), len(found.novel)] == [80, 20, 20]
    assert labels(table, split.train) == set(found.base)
    assert labels(table, split.test) == labels(table, split.labelled) == set(found.novel)
    assert len(split.test) + len(split.labelled) == 20 * 30
    whole = spec("fewshot-dastm").split(table, NovelConfig(part="validation"))
    assert labels(table, whole.test) == set(found.validation)
    assert len(whole.test) + len(whole.labelled) == 18_925


@pytest.mark.parametrize(
    ("name", "dataset", "counts"),
    [("oneshot", "ntu60", (47_180, 9_388, 10)), ("oneshot-validation", "ntu120", (76_013, 18_968, 20))],
)
def test_one_shot_counts(tables, name, dataset, counts) -> None:
    split = make_split(spec(name), dataset, tables[dataset], complete=True)
    assert (len(split.train), len(split.test), len(split.labelled)) == counts
    assert labels(tables[dataset], split.test) == labels(tables[dataset], split.labelled)


def pku2_table(classes: int = 41) -> pd.DataFrame:
    """41 of 51 classes; of every video the rows 0 to 4 were set aside, so that clip k is row k + 4."""
    found = class_list("oneshot-pku2")
    present = [number for number in range(1, 52) if number % 5][:classes]
    exemplars = {said: present[number - 1] for number, said in found.exemplars.items() if number <= classes}
    videos = sorted({said.rpartition("_")[0] for said in found.exemplars.values()} | {"A20N01-M", "A20N02-M"})
    rows = [(f"{video}_{k + 4}", video, f"{video}_{k}") for video in videos for k in range(1, 12)]
    table = pd.DataFrame(rows, columns=["name", "item", "key"]).sort_values("name", ignore_index=True)
    others = [number for number in present if number not in exemplars.values()]
    fill = iter([*present, *others * 20])
    table["label"] = [exemplars.get(key) or next(fill) for key in table["key"]]
    table["label"] -= 1
    return table


def test_pku_exemplars_are_counted_among_the_clips_of_a_video_and_classes_among_those_that_occur() -> None:
    table, found = pku2_table(), class_list("oneshot-pku2")
    split = spec("oneshot-pku2").split(table)
    assert sorted(table["key"].to_numpy()[split.labelled]) == sorted(found.exemplars.values())
    novel = labels(table, split.labelled)
    assert len(novel) == 10
    assert labels(table, split.test) <= novel
    assert len(labels(table, split.train)) == 31
    assert not labels(table, split.train) & novel
    with pytest.raises(StarsBenchError, match="prepare more of the dataset"):
        make_split(spec("oneshot-pku2"), "pku2", pku2_table(classes=30), complete=False)


@pytest.mark.parametrize("count", [10, 50])
def test_limited_takes_the_first_clips_of_few_performers(tables, count) -> None:
    for dataset, classes in (("ntu60", 60), ("ntu120", 120)):
        table = tables[dataset]
        split = LIMITED.split(table, LimitedConfig(clips_per_class=count))
        taken = table.iloc[split.train]
        assert (taken["label"].value_counts() == count).all()
        assert taken["label"].nunique() == classes
        assert taken["subject"].max() <= 17


def test_limited_takes_setup_after_setup_and_performer_after_performer(tables) -> None:
    taken = tables["ntu60"].iloc[LIMITED.split(tables["ntu60"], LimitedConfig()).train].query("label == 0")
    assert taken["setup"].unique().tolist() == [1]
    assert taken["subject"].value_counts().to_dict() == {1: 6, 2: 4}
    part = tables["ntu60"].query("subject != 1").reset_index(drop=True)  # nobody else moves up
    assert (part.iloc[LIMITED.split(part, LimitedConfig()).train]["label"] == 0).sum() == 4
