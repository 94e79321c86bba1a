"""What the synthetic dataset promises: real format, pure functions of the seed, human bodies, a task not too easy."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stars_bench.api import Clip, RawItem, SetAside, Source
from stars_bench.datasets.ntu import convert, expected_names
from stars_bench.datasets.synthetic import SYNTHETIC
from stars_bench.datasets.synthetic.actions.actions import ACTIONS, DEFAULT_ACTIONS
from stars_bench.datasets.synthetic.actions.first_actions import FIRST_ACTIONS
from stars_bench.datasets.synthetic.camera import BODY_ID, SyntheticClip, camera_pose, clean_views, make_clip
from stars_bench.datasets.synthetic.generated import GENERATOR, clips_of, generated_items
from stars_bench.datasets.synthetic.performers import performer
from stars_bench.datasets.synthetic.printing import as_printed, print_clip
from stars_bench.datasets.synthetic.stage import DEFAULT_CLIPS, ClipName, clip_names, missing_names, setup_performers
from stars_bench.datasets.synthetic.writer import CHAIN_ENDS, PARENTS, to_text, write_raw
from stars_bench.errors import UsageError

# The text of one clip of each: SHA-256, first 12 digits.
FROZEN = {
    5: (64, 64, 0.09644, -0.06253, 3.49716, 0.12888, 0.35617, 0.21355),
    6: (76, 71, 0.10899, 0.00459, 3.79109, 0.10744, 0.34630, 0.20860),
    7: (67, 65, 0.01445, 0.18009, 3.42881, 0.11818, 0.43563, 0.15776),
    8: (64, 104, -0.05316, -0.26887, 3.21601, 0.23715, 0.37186, 0.22662),
    9: (50, 50, -0.14166, -0.17446, 3.40521, 0.13343, 0.33767, 0.12473),
    10: (72, 72, 0.01755, 0.18509, 3.04727, 0.12476, 0.39941, 0.25236),
    22: (101, 99, -0.15962, -0.01003, 4.21323, 0.17376, 0.50262, 0.11146),
    23: (96, 96, 0.27715, 0.07838, 3.48415, 0.15361, 0.45459, 0.13768),
    24: (94, 160, -0.12108, -0.29782, 3.18199, 0.30044, 0.44662, 0.15668),
    26: (56, 53, 0.20685, 0.20853, 3.25876, 0.15649, 0.36636, 0.21453),
    27: (55, 55, 0.02182, -0.10791, 3.84007, 0.15385, 0.43253, 0.15864),
    28: (78, 76, 0.11278, 0.05189, 2.95284, 0.11861, 0.40118, 0.20400),
    33: (40, 40, -0.05651, -0.16215, 3.37615, 0.11335, 0.34719, 0.12633),
    35: (71, 69, 0.14658, 0.18655, 3.78925, 0.18128, 0.39508, 0.14324),
    38: (63, 63, -0.19739, 0.16345, 3.24232, 0.09758, 0.39565, 0.26309),
    40: (56, 51, 0.12374, 0.04277, 3.08092, 0.12648, 0.38245, 0.22630),
    50: (50, 100, -0.21890, -0.04164, 2.57266, 0.38808, 0.37377, 0.28307),
    51: (54, 108, -0.05652, -0.13093, 2.55558, 0.56541, 0.36957, 0.17878),
    52: (57, 114, 0.36129, 0.01360, 3.03309, 0.38787, 0.39686, 0.36589),
    55: (75, 150, -0.08154, 0.16137, 3.10616, 0.33454, 0.41258, 0.23925),
    58: (55, 110, 0.10250, -0.05249, 3.37424, 0.46596, 0.37487, 0.15588),
    59: (73, 205, 0.06297, -0.00077, 3.39102, 0.60803, 0.46615, 0.35814),
    60: (88, 176, -0.08906, -0.08599, 3.54392, 0.76858, 0.41694, 0.25079),
    80: (75, 70, 0.15990, 0.03675, 2.62623, 0.14370, 0.38117, 0.18351),
    95: (71, 71, 0.26882, 0.13979, 3.36664, 0.15520, 0.53768, 0.22900),
    96: (50, 50, 0.19317, 0.07152, 2.96626, 0.11289, 0.41052, 0.14543),
    97: (67, 65, 0.11924, 0.03677, 3.55684, 0.09751, 0.39764, 0.22256),
    99: (55, 55, -0.25849, 0.20372, 3.98517, 0.12535, 0.43639, 0.14095),
    102: (67, 71, -0.03682, -0.10704, 3.43846, 0.12744, 0.38665, 0.19581),
    112: (51, 117, 0.09752, -0.22042, 3.29887, 0.43928, 0.43442, 0.52161),
}
"""Of one clip of each action: frames, bodies in all frames, mean and deviation of x, y, z in metres."""

TRAIN_PERFORMERS = {1, 2, 4, 5, 8, 9, *range(13, 20), 25, 27, 28, 31, 34, 35, 38}


def read(text: bytes) -> list[list[tuple[list[str], np.ndarray]]]:
    """An independent reader, a line at a time: frames of (header fields, (25, 12) float64)."""
    lines = iter(text.decode("ascii").split("\r\n"))
    frames = []
    for _ in range(int(next(lines))):
        bodies = []
        for _ in range(int(next(lines))):
            header = next(lines).split(" ")
            assert next(lines) == "25"
            bodies.append((header, np.array([[float(x) for x in next(lines).split(" ")] for _ in range(25)])))
        frames.append(bodies)
    assert list(lines) == [""]
    return frames


@pytest.fixture(scope="module")
def names() -> list[str]:
    return clip_names()


@pytest.fixture(scope="module")
def clips(names: list[str]) -> list[SyntheticClip]:
    return [make_clip(name) for name in names]


# --------------------------------------------------------------------------------------------------- names


def test_all_names_are_those_of_ntu_120_without_its_missing_clips() -> None:
    names = clip_names(setups=None, limit=113_945)
    assert names == clip_names(setups=None, limit=None) == expected_names("ntu120")
    assert not missing_names() & set(names)


def test_names_are_valid() -> None:
    for name in clip_names(setups=None, limit=5000):
        clip = ClipName.parse(name)
        assert str(clip) == name
        assert clip.performer in setup_performers()[clip.setup]
        assert (clip.setup <= 17) == (clip.action <= 60)


def test_quickstart_suits_every_protocol(names: list[str]) -> None:
    clips = [ClipName.parse(name) for name in names]
    assert len(names) == DEFAULT_CLIPS
    for part in (True, False):
        assert {c.action for c in clips if (c.performer in TRAIN_PERFORMERS) is part} == set(DEFAULT_ACTIONS)
    for key in ("camera", "setup", "replication"):
        assert len({getattr(c, key) % 2 for c in clips}) == 2
    per_action = [sum(c.action == action for c in clips) for action in DEFAULT_ACTIONS]
    assert max(per_action) - min(per_action) <= 6


def test_smaller_sets_are_part_of_larger_ones() -> None:
    sizes = [clip_names(limit=limit) for limit in (0, 10, 100, 500, None)]
    assert [len(names) for names in sizes[:-1]] == [0, 10, 100, 500]
    assert all(set(small) < set(large) for small, large in pairwise(sizes))


def test_enough_actions_for_one_and_for_two() -> None:
    two = [action for action in DEFAULT_ACTIONS if ACTIONS[action].partner is not None]
    assert len(two) >= 4
    assert len(DEFAULT_ACTIONS) - len(two) >= 12


def test_every_action_of_ntu_120_has_its_own_choreography_and_mutual_ones_have_a_partner() -> None:
    assert list(ACTIONS) == list(range(1, 121))
    assert len({what.name for what in ACTIONS.values()}) == len({repr(what.actor) for what in ACTIONS.values()}) == 120
    assert {action for action, what in ACTIONS.items() if what.partner} == {*range(50, 61), *range(106, 121)}


@pytest.mark.parametrize(
    "name",
    [
        *("S001C001P001R001A061", "S018C001P041R001A060", "S018C001P041R001A121", "S001C001P001R003A006"),
        *("S001C001P009R001A006", "S001C004P001R001A006", "S033C001P001R001A006", "clip"),
    ],
)
def test_a_name_that_cannot_be_made_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_clip(name)


# -------------------------------------------------------------------------------------------------- format


def test_text_says_what_the_clip_holds(clips: list[SyntheticClip]) -> None:
    for clip in clips[::97]:
        frames = read(to_text(clip))
        bodies = [body for frame in frames for body in frame]
        assert [len(frame) for frame in frames] == clip.counts.tolist()
        assert [int(header[0]) for header, _ in bodies] == clip.ids.tolist()
        table = np.array([joints for _, joints in bodies])
        # Printed at 7 digits, like the real files: not every float32 comes back, but to half a unit of the last digit.
        np.testing.assert_allclose(table[:, :, :3], clip.joints, rtol=6e-7, atol=0)
        np.testing.assert_array_equal(table[:, :, 11], clip.states)
        assert all(len(header) == 10 for header, _ in bodies)


def test_ids_have_17_digits_and_need_int64(clips: list[SyntheticClip]) -> None:
    ids = np.concatenate([clip.ids for clip in clips])
    assert ids.dtype == np.int64
    assert ids.min() > BODY_ID
    assert {len(str(number)) for number in ids.tolist()} == {17}


def test_orientations_are_unit_but_at_the_ends_of_chains_and_pixels_are_plausible(clips: list[SyntheticClip]) -> None:
    clip = next(clip for clip in clips if (clip.roles == 0).all())
    table = np.array([joints for frame in read(to_text(clip)) for _, joints in frame])
    length = np.linalg.norm(table[:, :, 7:11], axis=2)
    ends = np.isin(np.arange(25), CHAIN_ENDS)
    np.testing.assert_allclose(length[:, ~ends], 1, atol=1e-5)
    assert not length[:, ends].any()
    assert np.median(np.abs(table[:, :, 3] - 256)) < 150
    assert np.median(np.abs(table[:, :, 6] - 540)) < 400


def numbers_of_all_sizes() -> np.ndarray:
    """(277 * 720,) float32: many that end a decade, or are printed with an exponent."""
    rng = np.random.default_rng(0)
    edges = [0, 1, -1, 0.1, 1e-4, 9.9999e-5, 9999.9995, 999.99997, 0.99999999, 123.4567, 100, 1e-30, 0.001, 5000, 2e-6]
    some = rng.normal(0, 1, 277 * 720 - len(edges)) * 10.0 ** rng.integers(-6, 4, 277 * 720 - len(edges))
    return np.clip(np.concatenate([edges, some]), -9999, 9999).astype(np.float32)


def test_numbers_look_as_dot_net_prints_float32() -> None:
    values = numbers_of_all_sizes().reshape(-1, 277)
    ids, states = np.full(len(values), BODY_ID), np.zeros((len(values), 25), np.uint8)
    text = print_clip(np.array([len(values)]), ids, values, states).decode()
    lines = text.split("\r\n")[2:-1]
    heads = [line.split(" ")[7:9] for line in lines[::27]]
    joints = [line.split(" ")[:11] for line in lines if line.count(" ") == 11]
    printed = [number for head in heads for number in head] + [number for joint in joints for number in joint]
    expected = [f"{value:.7G}" for value in (*values[:, :2].ravel().tolist(), *values[:, 2:].ravel().tolist())]
    assert printed == expected


def test_numbers_can_be_had_as_they_are_printed_without_printing() -> None:
    values = numbers_of_all_sizes()
    np.testing.assert_array_equal(as_printed(values.astype(np.float64)), [np.float32(f"{x:.7G}") for x in values])


# ------------------------------------------------------------------------------------------- reproducibility


def test_files_do_not_depend_on_order_processes_or_neighbours(tmp_path: Path, names: list[str]) -> None:
    some = names[::25]
    ahead = write_raw(tmp_path / "ahead", some)
    back = write_raw(tmp_path / "back", some[::-1], jobs=2)
    assert [path.name for path in ahead] == [f"{name}.skeleton" for name in some]
    assert [path.read_bytes() for path in ahead] == [path.read_bytes() for path in reversed(back)]
    assert ahead[3].read_bytes() == to_text(make_clip(some[3]))
    assert to_text(make_clip(some[3], seed=1)) != ahead[3].read_bytes()
    assert {path.suffix for path in (tmp_path / "ahead").iterdir()} == {".skeleton"}


def test_writing_goes_on_where_it_stopped(tmp_path: Path, names: list[str]) -> None:
    calls: list[tuple[int, int]] = []
    paths = write_raw(tmp_path, names[:20])
    paths[1].write_bytes(paths[1].read_bytes()[:1000])
    paths[2].unlink()
    before = {path: path.stat().st_mtime_ns for path in paths if path.exists()}
    write_raw(tmp_path, names[:30], progress=lambda done, total: calls.append((done, total)))
    assert [path for path, time in before.items() if path.stat().st_mtime_ns != time] == [paths[1]]
    assert paths[1].read_bytes() == to_text(make_clip(names[1]))
    assert paths[2].is_file()
    assert calls[-1] == (30, 30)


def test_the_first_thirty_actions_are_frozen() -> None:
    """The published quick start rests on them: a change beyond rounding is a new generator, not a refactoring.

    The last bits depend on the processor (sines and sums of several at once), so no digest of the text can be held.
    """
    for action, (frames, bodies, *statistics) in FROZEN.items():
        clip = make_clip(clip_names(setups=None, actions=[action], limit=1)[0])
        joints = clip.joints.astype(np.float64)
        assert (len(clip.counts), len(joints)) == (frames, bodies), ACTIONS[action].name
        found = [*joints.mean((0, 1)), *joints.std((0, 1))]
        np.testing.assert_allclose(found, statistics, rtol=0, atol=2e-5, err_msg=ACTIONS[action].name)


def test_a_generator_that_makes_other_clips_has_a_new_version() -> None:
    """Prepared data is taken as it is for as long as the version is the same. Tenths of a millimetre."""
    hasher = hashlib.sha256()
    for action in sorted(ACTIONS.keys() - FIRST_ACTIONS.keys()):
        clip = make_clip(clip_names(setups=None, actions=[action], limit=1)[0])
        hasher.update(np.rint(clip.joints.astype(np.float64) * 10_000).astype("<i4").tobytes())
    assert {1: "9527bba96a71"}[GENERATOR] == hasher.hexdigest()[:12]


# ----------------------------------------------------------------------------------------- without raw files


@pytest.mark.parametrize("profile", list(SYNTHETIC.profiles))
def test_generated_clips_are_those_of_the_raw_files_to_the_last_bit(profile: str) -> None:
    chosen = SYNTHETIC.profiles[profile]
    for item in generated_items(1440)[::12]:
        for clip in clips_of(item, chosen):
            assert isinstance(clip, Clip)
            raw = {"skeleton": to_text(make_clip(clip.name))}
            (read,) = convert(RawItem(clip.name, {"skeleton": Source(Path("file"))}), raw, chosen)
            assert isinstance(read, Clip)
            assert clip.bodies.dtype == np.float32
            np.testing.assert_array_equal(clip.bodies, read.bodies)
            assert replace(clip, bodies=None, source_digest="") == replace(read, bodies=None, source_digest="")


@pytest.mark.parametrize("limit", [0, 1, 100, 1000])
def test_items_hold_the_very_clips_that_are_asked_for_and_no_files(limit: int) -> None:
    items = generated_items(limit)
    assert [item.name for item in items] == sorted({item.name for item in items})
    assert not any(item.sources for item in items)
    names = [clip.name for item in items for clip in clips_of(item, SYNTHETIC.profiles["mamp"])]
    assert sorted(names) == clip_names(setups=None, limit=limit)


def test_all_clips_of_ntu_120_can_be_generated() -> None:
    cameras = [item.name.split("P")[0].split("C")[1] for item in generated_items()]
    assert sum(map(len, cameras)) == 113_945


def test_generated_clips_depend_on_seed_and_name_alone() -> None:
    profile = SYNTHETIC.profiles["mamp"]
    items = generated_items(60)
    ahead = [clip for item in items for clip in clips_of(item, profile)]
    back = [clip for item in reversed(items) for clip in reversed(clips_of(item, profile))]
    for one, same in zip(ahead, reversed(back), strict=True):
        assert one.source_digest == same.source_digest
        np.testing.assert_array_equal(one.bodies, same.bodies)
    (other, *_), (first, *_) = (clips_of(generated_items(60, seed)[0], profile) for seed in (1, 0))
    assert other.name == first.name
    assert other.source_digest != first.source_digest
    assert other.bodies.shape != first.bodies.shape or (other.bodies != first.bodies).any()


def test_items_of_others_are_refused_with_a_reason() -> None:
    profile = SYNTHETIC.profiles["mamp"]
    with pytest.raises(UsageError, match="S001C001P001R001A001"):
        clips_of(RawItem("S001C001P001R001A001", {}), profile)
    with pytest.raises(UsageError, match=f"no item of version {GENERATOR}"):
        clips_of(RawItem(f"S001C123P001R001A001 seed 0 generator {GENERATOR + 1}", {}), profile)
    with pytest.raises(UsageError, match="'none'"):
        clips_of(generated_items(1)[0], replace(profile, parameters={"cleaning": "none"}))


def test_a_clip_of_which_cleaning_leaves_nothing_is_set_aside() -> None:
    raw = SYNTHETIC.profiles["raw"]
    (clip,) = clips_of(generated_items(1)[0], replace(raw, parameters={**raw.parameters, "max_frames": 0}))
    assert isinstance(clip, SetAside)


def test_clips_are_as_long_as_those_of_ntu() -> None:
    """NTU RGB+D 120: some 90 frames on average, at most 300, two persons in 26 actions of 120."""
    profile = SYNTHETIC.profiles["mamp"]
    clips = [clip for item in generated_items(1080) for clip in clips_of(item, profile)]
    frames = np.array([clip.bodies.shape[1] for clip in clips])
    assert 75 < frames.mean() < 100
    assert 20 <= frames.min() <= frames.max() <= 300
    mutual = [ACTIONS[clip.label + 1].partner is not None for clip in clips]
    two = np.array([clip.bodies.shape[0] == 2 for clip in clips])
    assert two[mutual].mean() > 0.95
    assert two[np.logical_not(mutual)].mean() < 0.25


# -------------------------------------------------------------------------------------------------- bodies


def test_three_cameras_film_one_performance() -> None:
    for rest in ("P001R001A007", "P003R002A050"):
        views = [clean_views(ClipName.parse(f"S001C00{camera}{rest}")) for camera in (1, 2, 3)]
        places = [camera_pose(0, 1, camera) for camera in (1, 2, 3)]
        for axes, _ in places:
            np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
            assert np.linalg.det(axes) == pytest.approx(1)
        for bodies in zip(*views, strict=True):
            worlds = [body @ axes.T + position for body, (axes, position) in zip(bodies, places, strict=True)]
            np.testing.assert_allclose(worlds[1], worlds[0], atol=1e-9)
            np.testing.assert_allclose(worlds[2], worlds[0], atol=1e-9)
        yaw = [np.degrees(np.arctan2(axes[0, 2], axes[2, 2])) for axes, _ in places]
        np.testing.assert_allclose(yaw, (0, 45, -45), atol=15)


def test_replication_1_faces_the_second_camera_and_2_the_third() -> None:
    for replication, camera in ((1, 2), (2, 3)):
        facing = []
        for number in setup_performers()[8]:
            (body,) = clean_views(ClipName(8, camera, number, replication, 35))
            left = body[0, 4] - body[0, 8]
            facing.append(np.degrees(np.arctan2(-left[2], -left[0])))
        assert abs(np.median(facing)) < 30


def test_segments_keep_their_length() -> None:
    for action in ACTIONS:
        setup, number = (18, 41) if action > 60 else (1, 2)
        for body in clean_views(ClipName(setup, 1, number, 1, action)):
            length = np.linalg.norm(body - body[:, PARENTS], axis=2)
            np.testing.assert_allclose(length, np.broadcast_to(length[0], length.shape), atol=1e-9)
    first, second = (clean_views(ClipName(1, 1, 1, 1, action))[0] for action in (8, 7))
    lengths = [np.linalg.norm(body[0] - body[0, PARENTS], axis=1) for body in (first, second)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-9)
    assert performer(0, 1).physique.height != performer(0, 2).physique.height


def test_people_stand_upright_on_the_floor_in_front_of_the_camera() -> None:
    for name in clip_names(setups=None, limit=720):
        clip = ClipName.parse(name)
        axes, position = camera_pose(0, clip.setup, clip.camera)
        for view in clean_views(clip):
            world = view @ axes.T + position
            assert world[:, :, 1].min() > -0.12
            assert (world[:, 20, 1] > world[:, 0, 1]).all()
            assert world[:, :, 1].max() < 2.7
            assert view[:, 0, 2].min() > 0.8
            assert view[:, 0, 2].max() < 6.0
            # Nothing flies.
            speed = np.linalg.norm(np.diff(world, axis=0), axis=2) * 30
            assert speed.max() < 25
            assert speed[:, 0].max() < 7.5


# ------------------------------------------------------------------------------------------------ the sensor


def test_everything_that_goes_wrong_in_real_recordings_is_there(clips: list[SyntheticClip]) -> None:
    assert all(30 <= len(clip.counts) <= 130 for clip in clips)
    assert sum(1 for clip in clips if (clip.counts == 0).any()) > 50
    people = [clip.roles[clip.ids == number][0] for clip in clips for number in np.unique(clip.ids)]
    assert sum(1 for role in people if role == 2) > 50
    actors = [len(np.unique(clip.ids[clip.roles == 0])) for clip in clips]
    assert min(actors) == 1
    assert sum(1 for count in actors if count == 2) > 30
    for clip in clips:
        two = ACTIONS[ClipName.parse(clip.name).action].partner is not None
        assert two == bool((clip.roles == 1).any())
    assert {0, 1, 2} == set(np.unique(np.concatenate([clip.states for clip in clips])))
    assert all(np.isfinite(clip.joints).all() and (clip.joints[:, :, 2] > 0.3).all() for clip in clips)


def test_some_ghosts_are_short_and_some_are_flat(clips: list[SyntheticClip]) -> None:
    short = flat = 0
    for clip in clips:
        for number in np.unique(clip.ids[clip.roles == 2]):
            joints = clip.joints[clip.ids == number]
            spread = np.ptp(joints, axis=1)
            short += len(joints) <= 11
            flat += len(joints) > 11 and bool((spread[:, 0] > 0.8 * spread[:, 1]).all())
    assert short > 20
    assert flat > 20


def test_people_are_not_flat(clips: list[SyntheticClip]) -> None:
    """The cleaning drops bodies of mostly flat frames: it must not drop actors."""
    for clip in clips:
        for number in np.unique(clip.ids[clip.roles < 2]):
            spread = np.ptp(clip.joints[clip.ids == number], axis=1)
            assert np.mean(spread[:, 0] > 0.8 * spread[:, 1]) < 0.69


# ------------------------------------------------------------------------------------------------ difficulty


def centred(clip: SyntheticClip) -> np.ndarray:
    """(2, 60, 25, 3): actor and partner, from the actor's first spine mid, resized."""
    frame = np.repeat(np.arange(len(clip.counts)), clip.counts)
    bodies = np.zeros((2, len(clip.counts), 25, 3))
    for role in (0, 1):
        bodies[role, frame[clip.roles == role]] = clip.joints[clip.roles == role]
    bodies = bodies[:, bodies[0].any(axis=(1, 2))]
    absent = ~bodies.any(axis=(2, 3))
    bodies = bodies - bodies[0, 0, 1]
    bodies[absent] = 0
    at, part = np.divmod(np.linspace(0, bodies.shape[1] - 1.001, 60), 1)
    part = part[None, :, None, None]
    index = at.astype(int)
    resized: np.ndarray = bodies[:, index] * (1 - part) + bodies[:, index + 1] * part
    return resized


def nearest_neighbours(clips: list[SyntheticClip]) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Squared distances (test, train) on raw joints, a third of the performers held out; actions of both parts."""
    features = np.array([centred(clip).ravel() for clip in clips])
    names = [ClipName.parse(clip.name) for clip in clips]
    held_out = np.isin([name.performer for name in names], sorted({name.performer for name in names})[::3])
    labels = np.array([name.action for name in names])
    train, test = features[~held_out], features[held_out]
    distance = (train**2).sum(axis=1) - 2 * test @ train.T
    return distance, (labels[held_out], labels[~held_out])


def accuracy(distance: np.ndarray, labels: tuple[np.ndarray, np.ndarray], actions: Sequence[int]) -> float:
    """Of the nearest neighbour among some actions alone."""
    test, train = (np.isin(part, actions) for part in labels)
    nearest = distance[np.ix_(test, train)].argmin(axis=1)
    return float(np.mean(labels[1][train][nearest] == labels[0][test]))


def test_a_nearest_neighbour_is_far_from_perfect_and_from_chance(clips: list[SyntheticClip]) -> None:
    """Within the training performers of cross-subject alone."""
    clips = [clip for clip in clips if ClipName.parse(clip.name).performer in TRAIN_PERFORMERS]
    assert 0.3 < accuracy(*nearest_neighbours(clips), DEFAULT_ACTIONS) < 0.7


@pytest.mark.slow
def test_the_other_ninety_actions_are_about_as_hard_to_tell_apart_as_the_first_thirty() -> None:
    """Thirty of them at a time, with the same share of mutual ones."""
    distance, labels = nearest_neighbours([make_clip(name) for name in clip_names(setups=None, limit=120 * 36)])
    rng = np.random.default_rng(0)
    others = sorted(ACTIONS.keys() - FIRST_ACTIONS.keys())
    alone = [action for action in others if ACTIONS[action].partner is None]
    mutual = [action for action in others if ACTIONS[action].partner is not None]
    draws = [[*rng.choice(alone, 22, replace=False), *rng.choice(mutual, 8, replace=False)] for _ in range(20)]
    first = accuracy(distance, labels, tuple(FIRST_ACTIONS))
    assert 0.3 < first < 0.6
    assert abs(np.mean([accuracy(distance, labels, draw) for draw in draws]) - first) < 0.12
