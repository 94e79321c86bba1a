"""The profiles beside `mamp`: what the programs they follow make of the same files, and what can be changed in one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from stars_bench import registry
from stars_bench.api import Clip, DatasetSpec, Profile, RawItem, SetAside, Source
from stars_bench.datasets.cleaning.agcn import place
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.cleaning.pyskl import clean_pyskl
from stars_bench.datasets.cleaning.raw import clean_raw
from stars_bench.datasets.ntu import NTU60, NTU120, cleaned
from stars_bench.datasets.parsing.ntu import RawBody, RawClip, parse
from stars_bench.datasets.parsing.ntu_frames import Seen, frames_of
from stars_bench.datasets.parsing.pku import parse_video
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.errors import UsageError
from stars_bench.preparation.prepare import prepare
from stars_bench.storage.shards import open_dataset
from tests.datasets.raw_writers import (
    BODY_ID,
    Frame,
    ntu_bytes,
    ntu_lines,
    one_person,
    standing,
    video,
    write_ntu,
    write_pku,
)
from tests.paths import GOLDEN_RAW as GOLDEN

# (bodies, frames, SHA-256 of the float32 coordinates) of the golden files, computed once by pyskl's ntu_preproc.py
# (commit 736e166, before its float16) under NumPy 1.26, and by ST-GCN's read_xyz (max_body 2); an absent second body is
# left out.
PUBLIC = {
    "S001C001P001R001A001": ((1, 40, "1294399f3951d8d8"), (1, 40, "1294399f3951d8d8")),
    "S001C002P003R002A002": ((1, 45, "3797761acc9c3ebf"), (1, 52, "4afacd877a6973ae")),
    "S002C003P007R001A050": ((2, 60, "b30e9e3c88f45c7d"), (2, 60, "00d12afe9b26159a")),
    "S003C001P008R002A055": ((2, 64, "570449c57095e02f"), (2, 64, "570449c57095e02f")),
    "S004C002P014R001A010": ((1, 48, "2cc9783b92132cb5"), (2, 48, "4a11b83078523622")),
    "S005C003P016R002A052": ((2, 70, "d126c23a1aefec50"), (2, 70, "6d88929e6bfb17ad")),
    "S006C001P019R001A057": ((2, 40, "3edb3ea84c8273c3"), (1, 45, "bceed1ca2d0eaf5e")),
    "S007C002P025R001A060": ((2, 66, "ab03e48b210e06e7"), (2, 66, "2c48ea96c88908cf")),
    "S008C003P031R001A003": ((1, 38, "39cef27d8b47fe94"), (2, 38, "743047f4537eb61c")),
    "S009C001P008R001A051": ((2, 90, "4bba668b9b63450f"), (2, 90, "6cbf4c31d0d2ad12")),
    "S010C002P013R002A056": ((2, 56, "93a746ed3bdb6b30"), (2, 56, "93a746ed3bdb6b30")),
    "S011C002P019R001A053": ((2, 58, "e9e78694cc756a4f"), (2, 58, "e9e78694cc756a4f")),
    "S012C003P027R002A059": ((2, 62, "086a38c22fb28ed2"), (2, 62, "9af3b8b51fb4dd08")),
    "S013C001P037R001A054": ((2, 50, "71d58a5e5cde2382"), (2, 50, "c8b9efffec4275e9")),
    "S014C002P008R002A020": ((1, 46, "e572b237d913fc05"), (2, 46, "5460465566f6507a")),
    "S018C001P041R001A061": ((1, 44, "266e9721e84639f6"), (1, 44, "266e9721e84639f6")),
    "S020C003P045R002A115": ((2, 58, "952a82e45762e611"), (2, 58, "952a82e45762e611")),
}


def digest(bodies: np.ndarray) -> tuple[int, int, str]:
    return bodies.shape[0], bodies.shape[1], hashlib.sha256(bodies.astype("<f4").tobytes()).hexdigest()[:16]


def clip(*bodies: tuple[int, np.ndarray], empty: int = 0) -> RawClip:
    raw = tuple(RawBody(number, first, joints) for number, (first, joints) in enumerate(bodies))
    return RawClip(raw, max(body.first + len(body.joints) for body in raw), empty)


def wide(frames: int, seed: int) -> np.ndarray:
    return standing(frames, seed)[:, :, [1, 0, 2]]


# ----------------------------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("name", PUBLIC)
def test_pyskl_and_raw_are_what_the_public_programs_make_of_the_golden_files(name: str) -> None:
    data = (GOLDEN / f"{name}.skeleton").read_bytes()
    found = tuple(digest(cleaned(data, NTU60.profiles[profile])[0]) for profile in ("pyskl", "raw"))
    assert found == PUBLIC[name]


@pytest.mark.parametrize("name", ["ntu60", "ntu120", "pku1", "pku2", "synthetic"])
def test_every_dataset_has_mamp_as_its_default_and_says_what_each_profile_does(name: str) -> None:
    spec: DatasetSpec = registry.load("datasets", name)
    assert spec.default_profile == "mamp"
    assert all(profile.name == key and profile.summary and profile.parameters for key, profile in spec.profiles.items())
    assert len({str(dict(profile.parameters)) for profile in spec.profiles.values()}) == len(spec.profiles)


def test_only_mamp_copies_the_first_body_on_120() -> None:
    assert {name: profile.absent_body for name, profile in NTU120.profiles.items()} == {
        "mamp": "duplicate",
        "raw": "zero",
        "pyskl": "zero",
        "agcn": "zero",
        "agcn-x": "zero",
    }
    assert {profile.absent_body for profile in NTU60.profiles.values()} == {"zero"}


@pytest.mark.parametrize("profile", list(NTU60.profiles))
@pytest.mark.parametrize("data", [b"", b"5\n0\n0\n0\n0\n0\n", b"1\n1\nx\n"])
def test_a_file_that_gives_no_clip_is_set_aside_under_every_profile(profile: str, data: bytes) -> None:
    item = RawItem("S012C003P025R002A049", {"skeleton": Source(Path("x.skeleton"))})
    (result,) = NTU60.convert(item, {"skeleton": data}, NTU60.profiles[profile])
    assert isinstance(result, SetAside)
    assert result.where.startswith("x.skeleton")


def test_a_profile_of_no_known_cleaning_is_refused() -> None:
    with pytest.raises(UsageError, match="cleaning is 'soap'"):
        cleaned(one_person(), Profile("mine", "", {"cleaning": "soap"}, "zero"))


def test_profiles_lie_side_by_side_and_the_shards_say_which(tmp_path: Path) -> None:
    write_ntu(tmp_path / "raw", ["S001C001P001R001A001", "S001C002P001R001A001"])
    for name in NTU60.profiles:
        prepare(NTU60, [tmp_path / "raw"], tmp_path / "data", profile=name, jobs=1)
    datasets = [open_dataset(tmp_path / "data", "ntu60", name) for name in NTU60.profiles]
    assert [dataset.profile for dataset in datasets] == list(NTU60.profiles.values())
    assert datasets[1].digest == datasets[2].digest != datasets[0].digest  # one person in every frame: nothing to clean


# ------------------------------------------------------------------------------------------------------- raw


def frames_with(*seen: dict[int, np.ndarray]) -> list[Frame]:
    return [list(frame.items()) for frame in seen]


def test_raw_keeps_empty_frames_and_puts_bodies_where_each_frame_lists_them() -> None:
    one, two, three = (standing(4, seed) for seed in (1, 2, 3))
    frames = frames_with({}, {1: one[0], 2: two[0]}, {2: two[1], 1: one[1], 3: three[0]}, {3: three[1]})
    bodies, log = cleaned(ntu_bytes(frames, newline="\r\n"), NTU60.profiles["raw"])
    zero = np.zeros((25, 3), np.float32)
    np.testing.assert_allclose(bodies, [[zero, one[0], two[1], three[1]], [zero, two[0], one[1], zero]], atol=1e-6)
    assert bodies.dtype == np.float32
    assert (log["bodies_seen"], log["body_frames_beyond_the_second"], log["empty_frames_kept"]) == (3, 1, 1)


def test_raw_keeps_300_frames_and_stores_no_second_body_that_nobody_lists() -> None:
    bodies, log = cleaned(one_person(310), NTU60.profiles["raw"])
    assert bodies.shape == (1, 300, 25, 3)
    np.testing.assert_allclose(bodies[0], standing(310)[:300], atol=1e-6)
    assert log["frames_past_the_limit"] == 10


def test_raw_without_a_coordinate_has_nothing_left() -> None:
    empty = np.zeros((3, 25, 3), np.float32)
    with pytest.raises(NothingLeft, match="zero"):
        clean_raw(clip((0, empty)), [[Seen(0, 2)]] * 3)


def test_frames_are_read_as_written_with_bodies_in_order_and_their_tracking_states() -> None:
    one, two = standing(2, 1), standing(2, 2)
    lines = ntu_lines(frames_with({}, {BODY_ID: one[0], BODY_ID + 1: two[0]}, {BODY_ID + 1: two[1]}))
    lines[3] = lines[3].removesuffix(" 2") + " 1"  # the first body's line: frame count, an empty frame, a count, it
    assert frames_of("\n\n".join(lines).encode()) == [
        [],
        [Seen(BODY_ID, 1), Seen(BODY_ID + 1, 2)],
        [Seen(BODY_ID + 1, 2)],
    ]


# ----------------------------------------------------------------------------------------------------- pyskl


def test_pyskl_keeps_a_single_body_as_it_is() -> None:
    joints = standing(310) + np.float32(1)
    bodies, _ = clean_pyskl(clip((0, joints)))
    np.testing.assert_array_equal(bodies, joints[None])


def test_pyskl_drops_every_wide_body_not_all_but_the_last() -> None:
    raw = clip((0, standing(20, 1)), (0, wide(20, 2)), (0, wide(20, 3)))
    bodies, log = clean_pyskl(raw)
    np.testing.assert_array_equal(bodies, standing(20, 1)[None])
    assert log["bodies_too_wide"] == 2


@pytest.mark.parametrize(("frames", "share"), [(20, "wide"), (11, "short")])
def test_where_pyskl_stops_with_an_error_the_body_that_moves_most_is_kept_and_logged(frames: int, share: str) -> None:
    make = wide if share == "wide" else standing
    calm, lively = make(frames, 1), make(frames, 2)
    lively[frames // 2 :] += 1
    bodies, log = clean_pyskl(clip((0, calm), (0, lively)))
    np.testing.assert_array_equal(bodies, lively[None])
    assert log[f"all_bodies_too_{share}"] == 1
    assert log[f"bodies_too_{share}"] == 1


def test_pyskl_puts_the_body_that_moves_most_first_and_joins_those_that_do_not_overlap() -> None:
    calm, lively, late = standing(20, 1), standing(20, 2), standing(15, 3)
    lively[10:] += 1
    bodies, log = clean_pyskl(clip((0, calm), (0, lively), (20, late)))
    assert bodies.shape == (2, 35, 25, 3)
    np.testing.assert_array_equal(bodies[0], np.concatenate([lively, late]))
    np.testing.assert_array_equal(bodies[1, :20], calm)
    assert not bodies[1, 20:].any()
    assert (log["second_actors"], log["bodies_joined"]) == (1, 1)


def test_in_pyskl_one_shared_frame_is_an_overlap() -> None:
    first, second = standing(15, 1), standing(15, 2)
    first[8:] += 1
    bodies, _ = clean_pyskl(clip((0, first), (14, second)))
    assert bodies[1].any()
    joined, _ = clean_pyskl(clip((0, first), (15, second)))
    assert not joined[1].any()


def test_pyskl_cuts_empty_frames_at_both_ends_and_keeps_those_between() -> None:
    one, two = standing(30, 1), standing(30, 2)
    one[:3], one[10:12], one[28:] = 0, 0, 0
    two[:3], two[10:12], two[27:] = 0, 0, 0
    bodies, log = clean_pyskl(clip((0, one), (0, two)))
    assert bodies.shape[1] == 25
    assert not bodies[:, 7:9].any()
    assert log["zero_frames"] == 5


def test_pyskl_exchanges_the_actors_when_only_the_second_is_seen_at_the_start() -> None:
    late, early = standing(20, 1), standing(20, 2)
    late[10:] += 1  # moves more: actor 1
    bodies, _ = clean_pyskl(clip((5, late), (0, early)))
    np.testing.assert_array_equal(bodies[0, :20], early)
    np.testing.assert_array_equal(bodies[1, 5:], late)


# ------------------------------------------------------------------------------------------------- PKU-MMD


def sliced(labels: str, rule: str) -> list[Clip | SetAside]:
    item = RawItem("0002-L", {"skeleton": Source(Path("s.txt")), "label": Source(Path("l.txt"))})
    mamp = PKU1.profiles["mamp"]
    profile = Profile("mamp", "", {**mamp.parameters, "slice": rule}, "zero")
    return list(PKU1.convert(item, {"skeleton": video(60), "label": labels.encode()}, profile))


def rows_of(result: Clip | SetAside) -> np.ndarray:
    assert isinstance(result, Clip)
    return np.hstack(list(result.bodies.reshape(2, -1, 75)))


def test_aimclr_takes_the_row_before_the_start_as_well() -> None:
    frames = parse_video(video(60))
    (half_open,), (aimclr,) = sliced("3,10,40,1\n", "half-open"), sliced("3,10,40,1\n", "aimclr")
    np.testing.assert_array_equal(rows_of(half_open), frames[10:40])
    np.testing.assert_array_equal(rows_of(aimclr), frames[9:40])


def test_with_aimclr_a_clip_may_be_one_row_long_and_none_starts_before_the_video() -> None:
    single, first = sliced("3,10,10,1\n3,0,5,1\n", "aimclr")
    assert rows_of(single).shape == (1, 150)
    np.testing.assert_array_equal(rows_of(first), parse_video(video(60))[:5])
    (empty,) = sliced("3,10,10,1\n", "half-open")
    assert isinstance(empty, SetAside)


def test_the_known_erratum_is_one_under_both_slices() -> None:
    item = RawItem("0043-L", {"skeleton": Source(Path("s.txt")), "label": Source(Path("l.txt"))})
    for rule in ("half-open", "aimclr"):
        profile = Profile("mamp", "", {**PKU1.profiles["mamp"].parameters, "slice": rule}, "zero")
        (erratum,) = PKU1.convert(item, {"skeleton": video(60), "label": b"1,4925,4036,2\n"}, profile)
        assert isinstance(erratum, SetAside)
        assert erratum.kind == "errata"


def test_another_slice_gives_another_dataset_which_replaces_nothing_unasked(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"0002-L": "3,10,40,1\n", "0002-M": "1,1,20,1\n", "0003-R": "2,5,9,1\n"})
    data, raw = tmp_path / "data", [tmp_path / "raw"]
    before = prepare(PKU1, raw, data, jobs=1)
    with pytest.raises(UsageError, match="--force"):
        prepare(PKU1, raw, data, jobs=1, parameters={"slice": "aimclr"})
    after = prepare(PKU1, raw, data, jobs=1, parameters={"slice": "aimclr"}, overwrite=True)
    assert after.digest != before.digest
    prepared = open_dataset(data, "pku1")
    assert prepared.profile.parameters["slice"] == "aimclr"
    assert list(prepared.table["num_frames"]) == [31, 20, 5]


def test_a_slice_that_is_none_is_refused(tmp_path: Path) -> None:
    write_pku(tmp_path / "raw", {"0002-L": "3,10,40,1\n", "0002-M": "1,1,20,1\n", "0003-R": "2,5,9,1\n"})
    with pytest.raises(UsageError, match="slice is 'thin'; it must be half-open or aimclr"):
        prepare(PKU1, [tmp_path / "raw"], tmp_path / "data", jobs=1, parameters={"slice": "thin"})


def test_parse_and_frames_agree_on_the_golden_files() -> None:
    for file in sorted(GOLDEN.glob("*.skeleton")):
        data = file.read_bytes()
        raw, frames = parse(data), frames_of(data)
        assert sum(not bodies for bodies in frames) == raw.empty_frames
        seen = [body.id for bodies in frames for body in bodies]
        assert {body.id: len(body.joints) for body in raw.bodies} == {number: seen.count(number) for number in seen}


# ---------------------------------------------------------------------------------------------------- agcn


def test_agcn_keeps_the_two_of_four_slots_that_spread_most_the_most_lively_first() -> None:
    people = [standing(6, seed) for seed in range(5)]
    for number, person in enumerate(people[:4]):
        person[3:] += [0.3, 0.1, 0.4, 0.2][number]
    people[4][3:] += 9  # a fifth body is not even looked at
    frames = [[(number, person[frame]) for number, person in enumerate(people, 1)] for frame in range(6)]
    bodies, log = cleaned(ntu_bytes(frames), NTU60.profiles["agcn"])
    np.testing.assert_allclose(bodies, place(np.stack([people[2], people[0]])), atol=1e-5)
    assert (log["body_frames_beyond_the_fourth"], log["body_slots_that_move_less"]) == (6, 2)


def test_agcn_fills_what_is_empty_at_the_end_and_says_how_many_frames() -> None:
    one = standing(5, 1)
    bodies, log = cleaned(ntu_bytes(frames_with(*({1: joints} for joints in one), {}, {})), NTU60.profiles["agcn-x"])
    assert bodies.shape == (1, 7, 25, 3)
    np.testing.assert_array_equal(bodies[:, 5:], bodies[:, :2])
    assert log["body_frames_filled"] == 2


def test_agcn_takes_300_frames_and_refuses_what_it_cannot_do() -> None:
    assert cleaned(one_person(310), NTU60.profiles["agcn"])[0].shape == (1, 300, 25, 3)
    with pytest.raises(UsageError, match="align is 'y'"):
        cleaned(one_person(), Profile("mine", "", {**NTU60.profiles["agcn"].parameters, "align": "y"}, "zero"))
    with pytest.raises(NothingLeft):
        cleaned(b"1\n0\n", NTU60.profiles["agcn"])
