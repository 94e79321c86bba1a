"""Datasets without Python: descriptions, readers, missing joints, splits, and errors that name file and key."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.api import Citation
from stars_bench.datasets.custom import readers
from stars_bench.datasets.custom.bodies import finished
from stars_bench.datasets.custom.load import describe
from stars_bench.datasets.custom.model import Coordinates, JointLayout
from stars_bench.datasets.custom.readers.axes import not_joints
from stars_bench.datasets.parsing.numbers import ParseError, UnknownNumber
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.datasets.skeletons.layouts import COCO_17, KINECT_V1, LAYOUTS
from stars_bench.errors import UsageError
from stars_bench.preparation.prepare import prepare
from stars_bench.preparation.verify import verify
from stars_bench.protocols.splits import make_split
from stars_bench.protocols.standard import XSET, XSUB
from stars_bench.storage.shards import open_dataset, prepared_datasets
from stars_bench.testing import check_dataset
from tests.datasets.custom import custom_files as files

SKELETONS = {"csv": KINECT_V1, "npz": COCO_17, "json": COCO_17}


@pytest.mark.parametrize("kind", ["csv", "npz", "json"])
def test_a_described_folder_is_prepared_and_known_by_name(kind: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    skeleton = SKELETONS[kind]
    path = files.write(tmp_path, kind, skeleton.joints)
    spec = registry.load("datasets", str(path))
    assert pickle.loads(pickle.dumps(spec)).convert.keywords == spec.convert.keywords  # to other processes
    report = prepare(spec, [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert (report.quality.clips, report.set_aside) == (16, 0)
    assert "gym" in registry.names("datasets")
    dataset = open_dataset(tmp_path / "data", "gym")
    assert [one.spec.title for one in prepared_datasets(tmp_path / "data")] == ["Gym exercises"]
    assert dataset.spec.skeleton.joints == skeleton.joints
    assert dataset.spec.frame_rate == 25
    table = dataset.table
    assert table["label"].value_counts().to_dict() == {0: 8, 1: 8}
    assert set(table["subject"]) == {1, 2, 3, 4}
    assert set(table["camera"]) == {1, 2}
    split = make_split(XSUB, "gym", table, dataset.complete)
    assert set(table["subject"].iloc[split.train]) == {1, 2, 3}
    assert set(table["subject"].iloc[split.test]) == {4}
    assert dataset.has_protocol(XSUB)
    assert not dataset.has_protocol(XSET)

    clip = dataset.clip(0)  # the first of those that `files.write` made, or for JSON the ninth
    rng = np.random.default_rng(0)
    made = [files.moving(rng, action, len(skeleton.joints)) for action in (0, 1) for _ in range(8)]
    expected = made[8 if kind == "json" else 0]
    expected[5:8, 3] = expected[4, 3] + np.arange(1, 4)[:, None] * (expected[8, 3] - expected[4, 3]) / 4
    if kind == "json":
        expected[..., 2] = 0.9
        expected[5:8, 3, 2] = 0  # the score of a joint that is not there, wherever it is put
        assert dataset.spec.skeleton.planar
    np.testing.assert_allclose(clip, expected[None], atol=1e-6)
    assert report.quality.cleaning["missing_joints_filled"] == 16 * 3
    assert not verify(dataset, [tmp_path / "raw"]).faults
    check_dataset(spec, tmp_path / "raw")


def test_the_name_is_known_wherever_the_data_folder_is(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    path.write_text(path.read_text().replace('name = "gym"', 'name = "boxing"'))  # other tests prepare a gym
    (tmp_path / "elsewhere").mkdir()
    prepare(describe(path), [tmp_path / "raw"], tmp_path / "elsewhere" / "data", jobs=1)
    path.unlink()
    moved = (tmp_path / "elsewhere").rename(tmp_path / "moved")
    with pytest.raises(UsageError, match="no dataset is called 'boxing'"):
        registry.load("datasets", "boxing")
    assert open_dataset(moved / "data", "boxing").spec.classes == ("wave", "sit down")
    with pytest.raises(UsageError, match="no profile 'raw': there are plain, centered"):
        open_dataset(moved / "data", "boxing", "raw")


def test_a_changed_description_is_not_mixed_with_what_is_there(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    where = (describe(path), [tmp_path / "raw"], tmp_path / "data")
    assert not prepare(*where, jobs=1).unchanged
    assert prepare(*where, jobs=1).unchanged
    text = path.read_text()
    path.write_text(text.replace("[1, 2, 3]", "[1]"))
    with pytest.raises(
        UsageError, match="prepared with other train/test splits of the same clips; --force replaces it"
    ):
        prepare(describe(path), *where[1:], jobs=1)
    path.write_text(text)
    gone = (tmp_path / "raw" / "A01P01C1.npz").rename(tmp_path / "gone.npz")
    with pytest.raises(UsageError, match=r"prepared with another limit .* or from other raw files"):
        prepare(describe(path), *where[1:], jobs=1)
    gone.rename(tmp_path / "raw" / "A01P01C1.npz")
    path.write_text(text.replace('["wave", "sit down"]', '["sit down", "wave"]'))
    spec = describe(path)
    with pytest.raises(UsageError, match="prepared from another description of this name"):
        prepare(spec, *where[1:], jobs=1)
    with pytest.raises(UsageError, match="another description of the name gym"):
        prepare(spec, *where[1:], profile="centered", jobs=1)
    prepare(spec, *where[1:], jobs=1, overwrite=True)
    prepare(spec, *where[1:], profile="centered", jobs=1)
    clip = open_dataset(tmp_path / "data", "gym", "centered").clip(0)
    np.testing.assert_array_equal(clip[0, 0, COCO_17.centre], 0)


def test_names_that_differ_from_the_pattern_in_capitals_alone_are_told(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    path.write_text(path.read_text().replace("A(?P<action>", "a(?P<action>"))
    with pytest.raises(UsageError, match=r"4 would be matched if capitals did not count, .*: begin it with \(\?i\)"):
        prepare(describe(path), [tmp_path / "raw"], tmp_path / "data", jobs=1)


def test_a_table_in_place_of_a_pattern_may_be_anyones(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    text = path.read_text()
    path.write_text(text.replace(text[text.index("pattern") : text.index("[coordinates]")], "table = 'clips.csv'\n"))
    table = tmp_path / "clips.csv"
    rows = ["file,action,subject", "raw\\A01P01C1.npz,wave,1", "A02P02C1.npz,wave,2", "A09P01C1.npz,wave,3"]
    for mark in ",;\t":  # as spreadsheets of other countries write it
        table.write_text("\r\n".join(rows).replace(",", mark))
        found = describe(path).find([tmp_path])
        assert [item.name for item in found.items] == ["A02P02C1", "raw_A01P01C1"]
        assert found.ignored["rows of the table without a file"] == 1
    table.write_text("file,action,subject\nC:\\data\\A01P01C1.npz,wave,1\n")
    with pytest.raises(
        UsageError, match=r"names files such as 'C:_data_A01P01C1', and none of them is there, but .*npz"
    ):
        describe(path).find([tmp_path])
    table.write_text("name,action,subject\nA01P01C1.npz,wave,1\n")
    with pytest.raises(UsageError, match=r"'file'; it has name, action, subject; say which it is with columns = "):
        describe(path).find([tmp_path])


def test_a_table_says_what_names_do_not(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    text = path.read_text()
    pattern = text[text.index("pattern") : text.index("[coordinates]")]
    numbers = "[numbers.subject]\nanna = 7\n[splits.xview]\nby = 'setup'\ntrain = [2]\ntest = [3]\n"
    text = text.replace(pattern, "pattern = '.*\\.npz'\ntable = 'clips.csv'\n").replace("[1, 2, 3]", "['anna']")
    path.write_text(text + numbers)
    rows = ["A01P01C1.npz,wave,anna,2", "A01P02C1.npz,2,8,3", "A02P01C1.npz,wave,bert,2"]
    (tmp_path / "clips.csv").write_text("\n".join(["file,action,subject,setup", *rows]))
    found = describe(path).find([tmp_path / "raw"])
    facts = {item.name: dict(item.facts) for item in found.items}
    assert facts["A01P01C1"] == {"label": 0, "subject": 7, "camera": 0, "setup": 2, "replication": 0}
    assert facts["A01P02C1"]["label"] == 1
    assert found.official_splits["xsub"] == {"train": ["A01P01C1"], "test": ["A01P02C1"]}
    assert found.official_splits["xview"] == {"train": ["A01P01C1"], "test": ["A01P02C1"]}
    reasons = {one.name: one.reason for one in found.set_aside}
    assert reasons == {
        "A02P01C1": "subject 'bert' is no number: give it one under [numbers.subject]",
        "A02P02C1": "clips.csv does not name this clip",
    }
    (tmp_path / "clips.csv").write_text("name\nx\n")
    with pytest.raises(UsageError, match=r"clips\.csv: needs a column 'file'; it has name"):
        describe(path).find([tmp_path / "raw"])


def test_splits_may_be_lists_of_clips(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    path.write_text(path.read_text().replace("train = [1, 2, 3]", "train_file = 'train.txt'"))
    (tmp_path / "train.txt").write_text("A01P01C1.npz\n\nA02P02C1\n")
    found = describe(path).find([tmp_path / "raw"])
    assert found.official_splits["xsub"] == {"train": ["A01P01C1", "A02P02C1"], "test": ["A01P02C1", "A02P01C1"]}
    (tmp_path / "train.txt").unlink()
    with pytest.raises(UsageError, match=r"train\.txt: the list of clips cannot be read"):
        describe(path).find([tmp_path / "raw"])


def test_clips_that_a_list_names_and_that_are_not_here_make_the_data_partial(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    path.write_text(path.read_text().replace("train = [1, 2, 3]", "train_file = 'train.txt'"))
    (tmp_path / "train.txt").write_text("A01P01C1\nA02P01C1\nA07P07C1\n")
    report = prepare(describe(path), [tmp_path / "raw"], tmp_path / "data", jobs=1)
    assert not report.quality.complete
    assert verify(open_dataset(tmp_path / "data", "gym")).missing == ("A07P07C1",)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("train = [1]\ntest = ['01', 2]", "splits.xsub: 1 trains and tests"),
        ("train_file = 'train.txt'\ntest_file = 'train.txt'", "A01P01C1 trains and tests"),
    ],
)
def test_a_split_that_is_none_is_told(rule: str, told: str, tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    path.write_text(path.read_text().replace("train = [1, 2, 3]", rule) + "[numbers.subject]\n01 = 1\n")
    (tmp_path / "train.txt").write_text("A01P01C1\n")
    with pytest.raises(UsageError, match=told):
        describe(path).find([tmp_path / "raw"])


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'gym \U0001f938 "x" \x7f'
    folder.mkdir()
    path = files.write(folder, "npz", COCO_17.joints, subjects=4, cameras=1)
    prepare(describe(path), [folder / "raw"], tmp_path / "data", jobs=1)
    assert open_dataset(tmp_path / "data", "gym").spec.title == "Gym exercises"


CHANGES = {
    "not finite": ("unit = 0.001", "unit = inf", "coordinates.unit: input should be a finite number"),
    "huge": ("[splits.xsub]", "[numbers.subject]\na = 99999999999\n[splits.xsub]", "numbers.subject.a: .* less than"),
    "lines": ('"sit down"', '"sit\\ndown"', "classes: must have names, each on one line"),
    "no such key": ("frame_rate = 25", "frame_rat = 25", "frame_rat: there is no such key"),
    "missing": ('licence = "made up"', "", "licence: is missing"),
    "type": ("unit = 0.001", 'unit = "mm"', "coordinates.unit: input should be a valid number"),
    "toml": ("frame_rate = 25", "frame_rate = ", "cannot be read as a description .*line 7"),
    "format": (
        'format = "csv"',
        'format = "xls"',
        "coordinates.format: input should be 'csv', 'npz', 'json', 'mat' or 'ntu'",
    ),
    "regex": ("(?P<camera>", "(?P<camera", "files.pattern: is not a regular expression"),
    "doubtful": ("(?P<camera>", "[[](?P<camera>", r"files.pattern: is not a regular expression \(Possible nested set"),
    "group": ("?P<camera>", "?P<kamera>", "files.pattern: the group 'kamera' is none of action, subject"),
    "action": ("?P<action>", "?:", r"files: the pattern needs a group \(\?P<action>"),
    "layout": ('"kinect-v1"', '"kinect-v3"', "skeleton: there is no layout 'kinect-v3': kinect-v2, kinect-v1, coco-17"),
    "axes": ('["x", "-y", "z"]', '["x", "z"]', "coordinates.axes: need x and y"),
    "columns": ('"{joint}/{axis}"', '"{joint}"', "coordinates: columns must hold {joint} and {axis}"),
    "split": ("train = [1, 2, 3]", "test = [4]", "splits.xsub: needs train = "),
    "both": ("train = [1, 2, 3]", "train = [1]\ntest = [1]", "splits.xsub: 1 trains and tests"),
    "protocol": (
        "[splits.xsub]",
        "[splits.oneshot]",
        "splits.oneshot.*: input should be 'xsub', 'xview', 'xset'",
    ),
    "name": ('name = "gym"', 'name = "ntu60"', "name: 'ntu60' is another dataset's name"),
    "name's letters": ('name = "gym"', 'name = "../gym"', "name: string should match pattern"),
    "classes": ('["wave", "sit down"]', '["wave", "wave"]', "classes: two classes have one name"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_description_is_told_in_one_line_with_file_and_key(change: str, tmp_path: Path) -> None:
    before, after, told = CHANGES[change]
    path = tmp_path / "gym.toml"
    text = files.HEAD + files.CSV + files.SPLIT
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(UsageError, match=f"gym.toml: {told}") as error:
        registry.load("datasets", str(path))
    assert "\n" not in str(error.value)


OWN = {"joints": ("hip", "head", "hand"), "parents": ("hip", "hip", "head"), "centre": "hip"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"parents": ("hip", "hip")}, "2 parents for 3 joints"),
        ({"parents": ("hip", "hip", "arm")}, "'arm' is not among the joints"),
        ({"parents": ("hip", "head", "head")}, "2 joints are their own parents"),
        ({"parents": ("hip", "hand", "head")}, "'head' is in a circle of parents"),
        ({"centre": None}, "centre is missing"),
        ({"joints": ("hip", "hip", "hand")}, "two joints have one name"),
        ({"layout": "coco-17"}, "or joints, parents and centre of its own"),
        ({"ntu": {"spine base": "hip"}}, "ntu: 'spine mid' is missing"),
        ({"ntu": {"spine base": "foot"}}, "'foot' is not among the joints"),
        ({"ntu": {"tail": "hip"}}, "'tail' is none of spine base"),
    ],
)
def test_a_layout_of_ones_own_is_checked(wrong, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        JointLayout.model_validate(OWN | wrong)


def test_csv_tells_bodies_and_frames_apart_by_columns() -> None:
    how = Coordinates(format="csv", columns="{axis}{joint}", frame="t", body="who", delimiter=";")
    text = "t;who;xa;ya;za;note\n1;7;1;2;3;p\n2;7;4;5;6;p\n2;9;7;8;;q\n"
    stored = readers.read(text.encode(), how, ["a"])
    nan = np.nan
    np.testing.assert_array_equal(
        stored, np.array([[[1, 2, 3], [4, 5, 6]], [[nan] * 3, [7, 8, nan]]]).reshape(2, 2, 1, 3)
    )
    with pytest.raises(ParseError, match="a second row of frame 2 and the same body") as error:
        readers.read((text + "2;9;1;1;1;q\n").encode(), how, ["a"])
    assert error.value.line == 5
    with pytest.raises(ParseError, match="'five' is not a number") as error:
        readers.read(text.replace("4;5;6", "4;five;6").encode(), how, ["a"])
    assert error.value.line == 3
    with pytest.raises(ValueError, match="there is no column 'xb'; the first are t, who, xa, ya"):
        readers.read(text.encode(), how, ["b"])


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a/x,a/y\n1,2\n\n3\n", 4, "1 cells; the first row has 2"),
        ("a/x,a/y\n1,2,\n3,4,\n", 2, "3 cells; the first row has 2"),
        ("a/x,a/y\n1,2\n\n\n3,x\n", 5, "'x' is not a number"),
    ],
)
def test_a_csv_row_that_is_cut_or_too_long_is_told_with_its_line(text: str, line: int, told: str) -> None:
    how = Coordinates(format="csv", axes=("x", "y"), columns="{joint}/{axis}")
    with pytest.raises(ParseError) as caught:
        readers.read(text.encode(), how, ["a"])
    assert (caught.value.line, caught.value.reason) == (line, told)
    assert readers.read(b"a/x,a/y\n1,\n\n3,4\n", how, ["a"]).tolist()[0][1] == [[3, 4]]  # an empty cell is no fault


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("60\n1,2,3\n", 2, "3 cells; the first row has 1: skip_lines passes over lines before the numbers"),
        ("x,y,z\n1,2,3\n", 1, "'x' is not a number: skip_lines passes over lines before the numbers"),
        ("1,2,3\n1,2,3\n1,2\n", 3, "2 cells; the first row has 3"),
        (
            "1\r\n1\r\n72057 0 1 1 1 1 0 0.02 0.05 2\r\n1\r\n1 2 3 4 5 6 7 8 9 0 0 2\r\n",
            3,
            '10 cells; the first row has 1: this looks like the text form of NTU RGB+D, format = "ntu"',
        ),
    ],
)
def test_a_text_that_begins_otherwise_is_told_with_the_remedy(text: str, line: int, told: str) -> None:
    how = Coordinates(format="csv", delimiter=" " if "0.02" in text else ",")
    with pytest.raises(ParseError) as caught:
        readers.read(text.encode(), how, ["a"])
    assert (caught.value.line, caught.value.reason) == (line, told)


def test_braces_in_a_column_are_braces() -> None:
    how = Coordinates(format="csv", axes=("x", "y"), columns="{joint}_{axis}_{other}")
    assert readers.read(b"a_x_{other},a_y_{other}\n1,2\n", how, ["a"]).tolist() == [[[[1, 2]]]]


@pytest.mark.parametrize("kind", ["complex128", "bool", "datetime64[s]", "U3", "S3"])
def test_only_numbers_are_coordinates(kind: str) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 1, 3)).astype(kind))
    with pytest.raises(ValueError, match="not of numbers"):
        readers.read(stream.getvalue(), Coordinates(format="npz"), ["a"])


def test_csv_without_a_header_has_joints_in_order() -> None:
    how = Coordinates(format="csv")
    stored = readers.read(b"1,2,3,4,5,6\n7,8,9,10,11,12\n", how, ["a", "b"])
    np.testing.assert_array_equal(stored, np.arange(1, 13).reshape(1, 2, 2, 3))
    with pytest.raises(ValueError, match="6 columns, not 3 joints times 3 axes"):
        readers.read(b"1,2,3,4,5,6\n", how, ["a", "b", "c"])
    with pytest.raises(ValueError, match="cannot be read as CSV"):
        readers.read(b"", how, ["a"])


def test_numbers_of_another_layout_name_it() -> None:
    assert not_joints(75, 17, 3) == "not 17 joints times 3 axes; layouts of 25 joints: kinect-v2, openpose-25"
    assert not_joints(34, 18, 3) == "not 18 joints times 3 axes"


def test_json_keys_joints_and_bodies() -> None:
    joints = ["a", "b"]
    named = {"frames": [{"at": {"a": [1, 2, 3], "b": {"x": 4, "y": 5, "z": 6}}}, {"at": {"b": [7, 8, 9]}}]}
    how = Coordinates(format="json", key="frames[].at")
    with pytest.raises(ValueError, match="there is no 'other'"):
        readers.read(json.dumps(named).encode(), how.model_copy(update={"key": "other[].at"}), joints)
    stored = readers.read(json.dumps(named).encode(), how, joints)
    np.testing.assert_array_equal(stored, [[[[1, 2, 3], [4, 5, 6]], [[np.nan] * 3, [7, 8, 9]]]])
    ragged = {"f": [[], [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]]]}
    people = Coordinates(format="json", key="f[].[]", order="TMVC")
    stored = readers.read(json.dumps(ragged).encode(), people, joints)
    assert stored.shape == (2, 2, 2, 3)
    assert np.isnan(stored[:, 0]).all()
    np.testing.assert_array_equal(stored[:, 1].reshape(2, 6), [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]])
    whole = Coordinates(format="json", order="VTC")
    stored = readers.read(b"[[[1,2,3]],[[4,null,6]]]", whole, joints)
    np.testing.assert_array_equal(stored, [[[[1, 2, 3], [4, np.nan, 6]]]])
    with pytest.raises(ParseError):
        readers.read(b"{", how, joints)
    with pytest.raises(ValueError, match="'c' is not among the joints"):
        readers.read(b'{"frames": [{"at": {"c": [1, 2, 3]}}]}', how, joints)
    with pytest.raises(ValueError, match="the file holds no array of numbers"):
        readers.read(b'[["p"]]', Coordinates(format="json"), joints)
    with pytest.raises(ValueError, match=r"f\[\]\.\[\] holds 9 numbers, not 2 joints times 3 axes"):
        readers.read(json.dumps({"f": [[list(range(9))]]}).encode(), people, joints)
    with pytest.raises(ValueError, match=r"f\[\]\.\[\] holds no array of numbers"):
        readers.read(json.dumps({"f": [[["p"]]]}).encode(), people, joints)


def test_npz_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=np.zeros((4, 2, 3)), b=np.ones((4, 6)))
    data = (tmp_path / "two.npz").read_bytes()
    with pytest.raises(ValueError, match="there is no array None: there are a, b; say key"):
        readers.read(data, Coordinates(format="npz"), ["a", "b"])
    assert readers.read(data, Coordinates(format="npz", key="b"), ["a", "b"]).shape == (1, 4, 2, 3)
    with pytest.raises(ValueError, match="2 joints of 3 numbers, not 5 of 3"):
        readers.read(data, Coordinates(format="npz", key="a"), list("abcde"))
    for damaged in (data[:50], b"", b"no npz"):
        with pytest.raises(ValueError):  # noqa: PT011 - numpy's own words
            readers.read(damaged, Coordinates(format="npz", key="b"), ["a", "b"])


def bodies_of(stored, *, centre=False, layout: JointLayout | None = None, **how):
    return finished(
        np.asarray(stored, np.float64), Coordinates(format="npz", **how), layout or JointLayout(**OWN), centre
    )


def test_missing_joints_are_filled_by_the_stated_rule() -> None:
    nan = [np.nan] * 3
    body = np.array(
        [
            [[0, 0, 0], [1, 1, 1], nan],
            [[0, 0, 1], nan, nan],
            [nan, nan, nan],  # nobody is seen
            [[0, 0, 3], [4, 4, 4], nan],
            [[0, 0, 4], nan, nan],
        ]
    )
    joints, log = bodies_of(body[None])
    np.testing.assert_allclose(joints[0, :, 1, 0], [1, 2, 0, 4, 4])  # a straight line, then it stays
    np.testing.assert_array_equal(joints[0, :, 2], joints[0, :, 1])  # never seen: where its parent is
    np.testing.assert_array_equal(joints[0, 2], 0)
    assert log == {"missing_joints_filled": 6, "zero_frames_kept": 1}
    with pytest.raises(ValueError, match=r"joint 2 of frame 0 \(counted from 0\) is missing"):
        bodies_of(body[None], missing="set-aside")
    with pytest.raises(ValueError, match="no joint is seen in any frame"):
        bodies_of(np.full((1, 4, 3, 3), np.nan))
    with pytest.raises(ValueError, match="infinite"):
        bodies_of(np.full((1, 4, 3, 3), np.inf))


def test_a_value_may_stand_for_missing_and_a_root_that_is_never_seen_is_in_the_middle() -> None:
    body = np.array([[[0, 0, 0], [2, 2, 2], [4, 4, 4]]] * 3, float)
    joints, log = bodies_of(body[None], missing_value=0)
    np.testing.assert_array_equal(joints[0, :, 0], 3)
    assert log == {"missing_joints_filled": 3}


def test_the_two_bodies_that_are_seen_longest_stay_in_their_order() -> None:
    stored = np.arange(3)[:, None, None, None] + np.ones((3, 4, 3, 3))
    stored[1, 1:] = np.nan
    joints, log = bodies_of(stored)
    np.testing.assert_array_equal(joints[:, 0, 0, 0], [1, 3])
    assert log == {"bodies_left_out": 1}


def test_joints_of_ntu_are_own_ones_or_means_of_several() -> None:
    ntu = dict.fromkeys(KINECT_V2.joints, "hip") | {"neck": ("hip", "head")}
    joints, _ = bodies_of([[[[1, 0, 0], [3, 0, 0], [9, 9, 9]]]], layout=JointLayout(**OWN, ntu=ntu))
    assert joints.shape == (1, 1, 25, 3)
    assert joints[0, 0, KINECT_V2.joints.index("neck"), 0] == 2
    assert joints[0, 0, 0, 0] == 1


def test_every_ready_layout_can_be_described() -> None:
    for name, layout in LAYOUTS.items():
        assert JointLayout(layout=name).own("") is layout


def test_whom_to_cite_is_a_line_or_a_table(tmp_path: Path) -> None:
    path = files.write(tmp_path, "csv", KINECT_V1.joints)
    assert describe(path).citation == Citation("gym", "nobody", kind="misc")
    table = 'citation = { key = "doe2026gym", title = "Gym", authors = "Doe, Jane", year = 2026 }'
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('citation = "nobody"', table), encoding="utf-8")
    assert describe(path).citation == Citation("doe2026gym", "Gym", authors="Doe, Jane", year=2026)
    path.write_text(text.replace('citation = "nobody"', table.replace("doe2026gym", "a key")), encoding="utf-8")
    with pytest.raises(UsageError, match=r"citation.*'a key' cannot be the key of a citation"):
        describe(path)


def test_clips_that_are_named_as_ntus_can_be_imported_into_a_described_dataset(tmp_path: Path) -> None:
    spec = registry.load("datasets", str(files.write(tmp_path, "csv", KINECT_V1.joints)))
    assert spec.read_name is not None
    assert spec.read_name("S002C003P008R002A001")[1:] == (8, 3, 2, 2, 0)


def test_ids_with_gaps_are_told_at_the_first_wrong_name(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=1, cameras=1)
    (tmp_path / "raw" / "A02P01C1.npz").rename(tmp_path / "raw" / "A08P01C1.npz")
    text = path.read_text()
    (aside,) = describe(path).find([tmp_path / "raw"]).set_aside
    assert (aside.name, aside.kind) == ("A08P01C1", "unknown")
    assert aside.where.endswith("A08P01C1.npz")
    assert aside.reason.startswith("action 8 is not in 1..2; if ids have gaps, other clips have wrong classes, too:")
    with pytest.raises(UnknownNumber, match="action 8 is not in 1"):
        describe(path).read_name("A08P01C1")
    path.write_text(text + "[numbers.action]\n1 = 1\n08 = 2\n")
    found = describe(path).find([tmp_path / "raw"])
    assert [dict(item.facts)["label"] for item in found.items] == [0, 1]
    path.write_text(text + "[numbers.action]\n1 = 1\n")  # an id that the numbers leave out is nobody's class
    (aside,) = describe(path).find([tmp_path / "raw"]).set_aside
    assert aside.reason == "action '08' has no number: give it one under [numbers.action]"
    assert aside.kind == "unknown"
    path.write_text(text + "[numbers.action]\n1 = 1\n8 = 3\n")
    with pytest.raises(UsageError, match=r"numbers\.action: 8 has none of the 2 classes, which count from 1"):
        describe(path)


def test_classes_may_count_from_0(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=1, cameras=1)
    (tmp_path / "raw" / "A02P01C1.npz").rename(tmp_path / "raw" / "A00P01C1.npz")
    path.write_text(path.read_text().replace("[files]", "[files]\nfirst_action = 0"))
    found = describe(path).find([tmp_path / "raw"])
    assert {item.name: dict(item.facts)["label"] for item in found.items} == {"A00P01C1": 0, "A01P01C1": 1}


def test_a_table_stands_instead_of_a_pattern(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    text = path.read_text()
    pattern = text[text.index("pattern") : text.index("[coordinates]")]
    path.write_text(text.replace(pattern, "table = 'clips.csv'\n"))
    (tmp_path / "clips.csv").write_text("file,action,subject\nA01P01C1.npz,wave,1\nraw/A02P02C1,2,4\n")
    found = describe(path).find([tmp_path / "raw"])
    facts = {item.name: (dict(item.facts)["label"], dict(item.facts)["subject"]) for item in found.items}
    assert facts == {"A01P01C1": (0, 1), "raw_A02P02C1": (1, 4)}
    assert found.ignored == {"files that the table does not name": 2}
    (tmp_path / "clips.csv").write_text("file,action\nA01P01C1.npz,wave\nA01P01C1,wave\n")
    with pytest.raises(UsageError, match=r"names 'A01P01C1' twice; a file of several clips needs their start and end"):
        describe(path).find([tmp_path / "raw"])


def test_a_file_may_say_its_own_action(tmp_path: Path) -> None:
    path = files.write(tmp_path, "json", COCO_17.joints, subjects=1, cameras=1)
    for name in ("wave", "sit down"):
        clip = tmp_path / "raw" / name / "P01C1.json"
        clip.write_text(json.dumps(json.loads(clip.read_text()) | {"label": 2 if name == "wave" else "wave"}))
    text = (
        path.read_text().replace("(?P<action>[a-z ]+)", "[a-z ]+").replace("[files]", "[files]\naction_key = 'label'")
    )
    path.write_text(text)
    prepare(describe(path), [tmp_path / "raw"], tmp_path / "data", jobs=1)
    table = open_dataset(tmp_path / "data", "gym").table
    assert dict(zip(table["name"], table["label"], strict=True)) == {"sit down_P01C1": 0, "wave_P01C1": 1}


def test_frames_of_two_clips_are_not_one_clip(tmp_path: Path) -> None:
    path = files.write(tmp_path, "npz", COCO_17.joints, subjects=2, cameras=1)
    path.write_text(path.read_text().replace("'A(?P<action>", "'raw/A(?P<action>").replace("CTVM", "CVM"))
    with pytest.raises(UsageError, match=r"raw: its files differ in subject .*a group \(\?P<clip>"):
        describe(path).find([tmp_path / "raw"])
    path.write_text(
        path.read_text().replace("'raw/A(?P<action>", "'raw/(?P<clip>A(?P<action>").replace("C(?P<c", ")C(?P<c")
    )
    found = describe(path).find([tmp_path / "raw"])
    assert [item.name for item in found.items] == ["A01P01", "A01P02", "A02P01", "A02P02"]


def test_joints_in_a_picture_keep_their_score() -> None:
    how = Coordinates(format="npz", axes=("x", "-y", "score"), origin=(4, 2), unit=0.5, min_score=0.1)
    layout = JointLayout(layout="coco-17")
    stored = np.random.default_rng(0).uniform(0.2, 1, (1, 4, 17, 3))
    stored[0, 1, 3] = (100, 100, 0.1)  # as little as none
    bodies, log = finished(stored, how, layout, centre=True)
    assert log["missing_joints_filled"] == 1
    expected = stored[..., :2].copy()
    expected[0, 1, 3] = (expected[0, 0, 3] + expected[0, 2, 3]) / 2
    expected = (expected - expected[0, 0, 0]) * [0.5, -0.5]
    np.testing.assert_allclose(bodies[..., :2], expected, atol=1e-6)
    scores = stored[..., 2].copy()
    scores[0, 1, 3] = 0
    np.testing.assert_array_equal(bodies[..., 2], scores.astype(np.float32))
    alone, _ = finished(stored[..., :2], how.model_copy(update={"axes": ("x", "y"), "min_score": None}), layout, False)
    assert (alone[..., 2] == 1).all()
