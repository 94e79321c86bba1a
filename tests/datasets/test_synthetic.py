"""What the made-up dataset promises: real format, pure functions of the seed, human bodies, a task that is no gift."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.synthetic import (
    ACTIONS,
    DEFAULT_ACTIONS,
    DEFAULT_CLIPS,
    SyntheticClip,
    clip_names,
    make_clip,
    to_text,
    write_raw,
)
from stars_bench.datasets.synthetic.body import performer
from stars_bench.datasets.synthetic.camera import BODY_ID, camera_pose, clean_views
from stars_bench.datasets.synthetic.stage import ClipName, missing_names, setup_performers
from stars_bench.datasets.synthetic.writer import CHAIN_ENDS, PARENTS, _cells

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


def test_names_are_valid_sorted_unique_and_none_is_a_missing_one() -> None:
    names = clip_names(None, limit=None)
    assert names == sorted(set(names))
    assert not missing_names() & set(names)
    for name in names:
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
    mutual = {*range(50, 61), *range(106, 121)}
    assert {action for action, what in ACTIONS.items() if what.partner is not None} <= mutual


@pytest.mark.parametrize("name", ["S001C001P001R001A001", "S001C001P009R001A006", "S001C004P001R001A006", "clip"])
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


def test_numbers_look_as_dot_net_prints_float32() -> None:
    rng = np.random.default_rng(0)
    some = rng.normal(0, 1, 200_000) * 10.0 ** rng.integers(-6, 4, 200_000)
    edges = [0, -0.0, 1, -1, 0.1, 1e-4, 9.9999e-5, 9999.9995, 999.99997, 0.99999999, 123.4567, 100, 1e-30, 0.001, 5000]
    values = np.clip(np.concatenate([some, edges]), -9999, 9999).astype(np.float32)
    printed = [bytes(row[row != 0]).decode() for row in _cells(values)]
    expected = [f"{value:.7G} ".replace("-0 ", "0 ") if value == 0 else f"{value:.7G} " for value in values.tolist()]
    assert printed == expected


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


# -------------------------------------------------------------------------------------------------- bodies


def test_three_cameras_film_one_performance() -> None:
    for rest in ("P001R001A007", "P003R002A050"):
        views = [clean_views(f"S001C00{camera}{rest}") for camera in (1, 2, 3)]
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
            (body,) = clean_views(f"S008C00{camera}P{number:03d}R00{replication}A035")
            left = body[0, 4] - body[0, 8]
            facing.append(np.degrees(np.arctan2(-left[2], -left[0])))
        assert abs(np.median(facing)) < 30


def test_segments_keep_their_length() -> None:
    for action in ACTIONS:
        pair = (18, 41) if action > 60 else (1, 2)
        for body in clean_views(f"S{pair[0]:03d}C001P{pair[1]:03d}R001A{action:03d}"):
            length = np.linalg.norm(body - body[:, PARENTS], axis=2)
            np.testing.assert_allclose(length, np.broadcast_to(length[0], length.shape), atol=1e-9)
    first, second = (clean_views(f"S001C001P001R001A{action:03d}")[0] for action in (8, 7))
    lengths = [np.linalg.norm(body[0] - body[0, PARENTS], axis=1) for body in (first, second)]
    np.testing.assert_allclose(lengths[0], lengths[1], atol=1e-9)
    assert performer(0, 1).physique.height != performer(0, 2).physique.height


def test_people_stand_upright_on_the_floor_in_front_of_the_camera() -> None:
    for name in clip_names(limit=90):
        axes, position = camera_pose(0, ClipName.parse(name).setup, ClipName.parse(name).camera)
        for view in clean_views(name):
            world = view @ axes.T + position
            assert world[:, :, 1].min() > -0.12
            assert (world[:, 20, 1] > world[:, 0, 1]).all()
            assert world[:, :, 1].max() < 2.7
            assert view[:, 0, 2].min() > 1.2
            assert view[:, 0, 2].max() < 6.0
            # Nothing flies.
            speed = np.linalg.norm(np.diff(world, axis=0), axis=2) * 30
            assert speed.max() < 25
            assert speed[:, 0].max() < 7


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


def test_a_nearest_neighbour_is_far_from_perfect_and_from_chance(clips: list[SyntheticClip]) -> None:
    """Within the training performers of cross-subject alone, a third of them held out."""
    clips = [clip for clip in clips if ClipName.parse(clip.name).performer in TRAIN_PERFORMERS]
    features = np.array([centred(clip).ravel() for clip in clips])
    labels = np.array([ClipName.parse(clip.name).action for clip in clips])
    performers = np.array([ClipName.parse(clip.name).performer for clip in clips])
    held_out = np.isin(performers, sorted(set(performers.tolist()))[::3])
    train, test = features[~held_out], features[held_out]
    distance = (train**2).sum(axis=1) - 2 * test @ train.T
    accuracy = np.mean(labels[~held_out][distance.argmin(axis=1)] == labels[held_out])
    assert 0.3 < accuracy < 0.7
