"""One performance: a performer's version of a choreography on the stage, before any camera.

In: seed, setup, performer, replication, action. Out: joints (F, 25, 3) of one or two persons in world metres (y up, the
floor at 0, the middle of the stage at the origin; camera 1 stands at negative z). All three cameras film the same one.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from typing import Any

import numpy as np

from stars_bench.datasets.synthetic.actions.actions import ACTIONS
from stars_bench.datasets.synthetic.actions.choreography import CHANNELS, Key, Move, Vector, Wave
from stars_bench.datasets.synthetic.body import FOOT, HAND, HEAD, PELVIS, PLACE, TRUNK, joints
from stars_bench.datasets.synthetic.performers import Performer, idle_hands, performer
from stars_bench.datasets.synthetic.seeds import generator
from stars_bench.datasets.synthetic.stage import setup_performers
from stars_bench.io.numba_cache import kept

FPS = 30
PACE = 0.75  # of the seconds in the choreographies: clips of mostly 40 to 150 frames, as cut in NTU RGB+D
MOST_FRAMES = 300  # as there

# Difficulty: how much one performance differs from the next of the same person. Chosen once (see tests) so that a
# nearest neighbour on raw joints gets about half of the clips right across subjects; then frozen.
TEMPO_JITTER = 0.12  # of log duration
AMPLITUDE_JITTER = 0.12  # of log amplitude
KEY_JITTER = 0.10  # of key poses, in their units
KEY_TIME_JITTER = 0.035  # of the duration: when a channel sets in
KEY_GAP_JITTER = 0.15  # of the log time from one key to the next
TIME_WARP = 0.15  # how unevenly time passes within an action
CYCLE_JITTER = 0.15  # of the log number of repetitions
HEADING_JITTER = 0.28  # radians
PLACE_JITTER = 0.15  # metres
LEAD_FRAMES = (2, 22)  # idle frames before and after the action
OTHER_HAND_ODDS = 0.12  # of using the hand one usually does not
FIDGET_ODDS = 0.45  # of a gesture that has nothing to do with the action
UNUSUAL_REST_ODDS = 0.35  # of hands that rest where they usually do not
GLANCE_ODDS = 0.35  # of looking somewhere else for a moment
FIDGET, GLANCE = np.array([[0.15], [0.3], [0.25]]), np.array([[0.2], [0.08], [0.45]])  # their sizes

# Sizes of idle motion: pelvis, trunk, head, both hands.
IDLE_SWAY = np.array([0.012, 0.02, 0.05, 0.03, 0.03])[:, None, None]
HAND_ARC = (0.6, 0.0, 1.0)  # out and forward, by the length of the way
OTHER_HAND = CHANNELS.index("other_hand")
SIDES_SWAPPED = [PLACE, PELVIS, TRUNK, HEAD, 5, 4, 7, 6]
# A left-hander's performance is the mirror image: these components change sign.
MIRRORED = np.array([[-1, 1, -1], [-1, 1, 1], [1, -1, -1], [1, -1, -1], *[[1, 1, 1]] * 4], dtype=float)[:, :, None]


@lru_cache(maxsize=32)
def perform(seed: int, setup: int, performer_number: int, replication: int, action: int) -> tuple[np.ndarray, ...]:
    """Return joints (F, 25, 3) float64 in world metres of each person, read-only: a pure function of its arguments."""
    rng = generator(seed, "performance", setup, performer_number, replication, action)
    choreography = ACTIONS[action]
    actor = performer(seed, performer_number)
    before, after = rng.integers(*LEAD_FRAMES, 2)
    length = choreography.actor.seconds * PACE * FPS / actor.tempo * math.exp(rng.normal(0, TEMPO_JITTER))
    length = min(length, MOST_FRAMES - before - after)
    time = (np.arange(int(before + length + after)) - before) / length

    toward = 1 if replication == 1 else -1  # the left camera first, then the right one
    middle = rng.normal(0, PLACE_JITTER, 2)
    if choreography.partner is None:
        bodies = [_act(choreography.actor, actor, time, middle, math.pi + toward * math.pi / 4, rng)]
    else:
        heading = -toward * math.pi / 2 + rng.normal(0, HEADING_JITTER)
        apart = np.array([math.sin(heading), math.cos(heading)]) * choreography.gap / 2
        others = [number for number in setup_performers()[setup] if number != performer_number]
        partner = performer(seed, others[rng.integers(len(others))])
        late = rng.uniform(-0.02, 0.06)
        bodies = [
            _act(choreography.actor, actor, time, middle - apart, heading, rng),
            _act(choreography.partner, partner, time - late, middle + apart, heading + math.pi, rng),
        ]
    for body in bodies:
        body.flags.writeable = False
    return tuple(bodies)


def _act(
    move: Move, who: Performer, time: np.ndarray, spot: np.ndarray, heading: float, rng: np.random.Generator
) -> np.ndarray:
    """Return joints (F, 25, 3) of one person at a spot (x, z), facing `heading`.

    `time` (F,) is 0 to 1 within the action.
    """
    pose = _pose(move, who, time, rng)
    # Two people who deal with each other face each other better than one who faces a camera by guess.
    heading += rng.normal(0, HEADING_JITTER) + who.heading
    left, forward, turn = pose[PLACE]
    x = spot[0] + left * math.cos(heading) + forward * math.sin(heading)
    z = spot[1] - left * math.sin(heading) + forward * math.cos(heading)
    pose[PLACE] = x, z, heading + turn
    return joints(pose, who.physique, who.elbow, who.stance)


def _pose(move: Move, who: Performer, time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a pose (8, 3, F) with sides resolved, as `body.joints` wants it."""
    amplitude = who.amplitude * math.exp(rng.normal(0, AMPLITUDE_JITTER))
    cycles = math.exp(rng.normal(0, CYCLE_JITTER))
    phase = rng.uniform()
    time = time + rng.normal(0, TIME_WARP) * np.sin(math.pi * np.clip(time, 0, 1)) ** 2
    pose = np.repeat(_rest(who, rng)[:, :, None], len(time), axis=2)
    for row, channel in enumerate(CHANNELS):
        if channel in move.keys:
            _follow(pose[row], move.keys[channel], amplitude, channel, time, rng)
    swing = np.zeros_like(pose)
    for wave in move.waves:
        _oscillate(swing[CHANNELS.index(wave.channel)], wave, amplitude, cycles, phase, time)
    pose += swing
    if rng.random() < FIDGET_ODDS and "other_hand" not in move.keys:
        pose[OTHER_HAND] += _bump(time, rng) * (rng.standard_normal((3, 1)) * FIDGET)
    if rng.random() < GLANCE_ODDS:
        pose[HEAD] += _bump(time, rng) * (rng.standard_normal((3, 1)) * GLANCE)
    left_handed = who.left_handed != (rng.random() < OTHER_HAND_ODDS)
    # The main hand stands where the left one belongs.
    pose = pose * MIRRORED if left_handed else pose[SIDES_SWAPPED]
    pose[PELVIS : HAND + 2] += _sway(len(time), rng)
    return pose


def _rest(who: Performer, rng: np.random.Generator) -> np.ndarray:
    """Return where each channel rests today, (8, 3)."""
    rest = np.zeros((len(CHANNELS), 3))
    rest[TRUNK] = who.lean + 0.03 * rng.standard_normal(3)
    rest[HEAD] = (0.08, 0.0, 0.0) + 0.07 * rng.standard_normal(3)
    idle = idle_hands(rng) if rng.random() < UNUSUAL_REST_ODDS else who.idle
    rest[HAND : HAND + 2] = idle + 0.04 * rng.standard_normal((2, 3))
    rest[FOOT:] = rng.standard_normal((2, 3)) * (0.02, 0.0, 0.06)
    return rest


def _follow(
    pose: np.ndarray,
    keys: tuple[Key, ...],
    amplitude: float,
    channel: str,
    time: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Move a channel (3, F) at rest through its keys, which vary in time and place."""
    if channel == "place":
        amplitude, jitter = 1.0, 0.02  # people meet where they meet, however large their gestures are
    else:
        jitter = KEY_JITTER * (0.5 if channel in ("pelvis", "trunk") else 1.0)
    planned, values, moved = _planned(keys)
    # Gaps are stretched, not keys moved: two close keys must not collapse into a jump.
    stretch = np.exp(KEY_GAP_JITTER * rng.standard_normal(len(keys) - 1))
    late = rng.normal(0, KEY_TIME_JITTER)
    # One draw for neighbouring keys of the same value: a pose that is held stays held.
    offset = jitter * rng.standard_normal(3)
    # Hands travel around the shoulder, not through it.
    arc = HAND_ARC if channel.endswith("hand") else (0.0, 0.0, 0.0)
    _pass_through(pose, planned, values, moved, stretch, late, offset, amplitude, arc, time)


@cache
def _planned(keys: tuple[Key, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times (K,), values (K, 3), and which of them are not the resting value (K,)."""
    values = [(0.0, 0.0, 0.0) if value is None else value for _, value in keys]
    return np.array([key for key, _ in keys]), np.array(values), np.array([value is not None for _, value in keys])


@kept
def _pass_through(
    pose: Any,
    planned: Any,
    values: Any,
    moved: Any,
    stretch: Any,
    late: float,
    offset: Any,
    amplitude: float,
    arc: Any,
    time: Any,
) -> None:
    """Fill a channel (3, F), which holds its resting value, accelerating and braking smoothly between keys."""
    values = values.copy()
    times = np.empty(len(planned))
    start, passed = planned[0] + late, 0.0
    rest = pose[:, 0].copy()
    for key in range(len(planned)):
        times[key] = start + passed
        if key < len(stretch):
            passed += max(planned[key + 1] - planned[key], 0.02) * stretch[key]
        for i in range(3):
            values[key, i] = rest[i] + (values[key, i] - rest[i]) * amplitude + offset[i] if moved[key] else rest[i]
    for frame in range(len(time)):
        key = 0  # from the first one each time: an uneven time may run back a little
        while key < len(stretch) - 1 and times[key + 1] <= time[frame]:
            key += 1
        gap = max(planned[key + 1] - planned[key], 0.02) * stretch[key]
        part = min(max((time[frame] - times[key]) / gap, 0.0), 1.0)
        smooth = part**3 * (10 - 15 * part + 6 * part**2)  # minimum jerk (Flash and Hogan 1985)
        way = values[key + 1] - values[key]
        bow = math.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2]) * smooth * (1 - smooth)
        for i in range(3):
            pose[i, frame] = values[key, i] + way[i] * smooth + arc[i] * bow


def _oscillate(swing: np.ndarray, wave: Wave, amplitude: float, cycles: float, phase: float, time: np.ndarray) -> None:
    """Add a wave to a channel (3, F) within its window, fading in and out."""
    part = (time - wave.start) / (wave.stop - wave.start)
    arc = np.sin(2 * math.pi * (wave.cycles * cycles * part + wave.phase + phase))
    if wave.shape == "bounce":
        arc = np.abs(arc)
    elif wave.shape == "half":
        arc = np.maximum(arc, 0.0)
    _add_faded(swing, part, arc, wave.amplitude, amplitude)


@kept
def _add_faded(swing: Any, part: Any, arc: Any, reach: Vector, amplitude: float) -> None:
    for frame in range(len(part)):
        fade = min(max(min(part[frame], 1 - part[frame]) * 8, 0.0), 1.0)
        for i in range(3):
            swing[i, frame] += fade * arc[frame] * reach[i] * amplitude


def _bump(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a curve (F,) between 0 and 1: a gesture somewhere in the clip."""
    centre, width = rng.uniform(0.0, 1.0), rng.uniform(0.1, 0.3)
    bump: np.ndarray = np.exp(-(((time - centre) / width) ** 2))
    return bump


def _sway(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return slow idle motion (5, 3, F): two sines a component, 0.15 to 0.7 Hz."""
    drawn = rng.random((len(IDLE_SWAY), 2, 2, 3, 1))
    hertz, phase = 0.15 + (0.7 - 0.15) * drawn[:, 0], 2 * math.pi * drawn[:, 1]
    time = np.arange(frames) / FPS
    sway: np.ndarray = IDLE_SWAY * np.sin(2 * math.pi * hertz * time + phase).sum(axis=1) / math.sqrt(2)
    return sway
