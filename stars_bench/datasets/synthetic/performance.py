"""One performance: a performer's version of a choreography on the stage, before any camera.

In: seed, setup, performer, replication, action. Out: joints (F, 25, 3) of one or two persons in world metres (y up, the
floor at 0, the middle of the stage at the origin; camera 1 stands at negative z). All three cameras film the same one.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import groupby

import numpy as np

from stars_bench.datasets.synthetic.actions import ACTIONS
from stars_bench.datasets.synthetic.body import Performer, idle_hands, joints, performer
from stars_bench.datasets.synthetic.choreography import Key, Move, Wave
from stars_bench.datasets.synthetic.seeds import generator
from stars_bench.datasets.synthetic.stage import setup_performers

FPS = 30
PACE = 0.75  # of the seconds in the choreographies: clips of 30 to 100 frames, as cut in NTU RGB+D

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

IDLE_SWAY = {"pelvis": 0.012, "trunk": 0.02, "head": 0.05, "left_hand": 0.03, "right_hand": 0.03}
HAND_ARC = np.array([0.6, 0.0, 1.0])  # out and forward, by the length of the way
CHANNELS = ("place", "pelvis", "trunk", "head", "main_hand", "other_hand", "main_foot", "other_foot")
# A left-hander's performance is the mirror image: these components change sign.
_MIRRORED = {
    "place": np.array([-1.0, 1.0, -1.0]),
    "pelvis": np.array([-1.0, 1.0, 1.0]),
    "trunk": np.array([1.0, -1.0, -1.0]),
    "head": np.array([1.0, -1.0, -1.0]),
}


@lru_cache(maxsize=32)
def perform(seed: int, setup: int, performer_number: int, replication: int, action: int) -> tuple[np.ndarray, ...]:
    """Joints (F, 25, 3) float64 in world metres of each person, read-only: a pure function of its arguments."""
    rng = generator(seed, "performance", setup, performer_number, replication, action)
    choreography = ACTIONS[action]
    actor = performer(seed, performer_number)
    before, after = rng.integers(*LEAD_FRAMES, 2)
    length = choreography.actor.seconds * PACE * FPS / actor.tempo * math.exp(rng.normal(0, TEMPO_JITTER))
    time = (np.arange(int(before + length + after)) - before) / length

    toward = 1 if replication == 1 else -1  # the left camera first, then the right one
    middle = rng.normal(0, PLACE_JITTER, 2)
    if choreography.partner is None:
        bodies = [_act(choreography.actor, actor, time, middle, math.pi + toward * math.pi / 4, rng)]
    else:
        heading = -toward * math.pi / 2 + rng.normal(0, HEADING_JITTER)
        apart = np.array([math.sin(heading), math.cos(heading)]) * choreography.gap / 2
        others = [number for number in setup_performers()[setup] if number != performer_number]
        partner = performer(seed, int(rng.choice(others)))
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
    """Joints (F, 25, 3) of one person at a spot (x, z), facing `heading`; `time` (F,) is 0 to 1 within the action."""
    pose = _pose(move, who, time, rng)
    # Two people who deal with each other face each other better than one who faces a camera by guess.
    heading += rng.normal(0, HEADING_JITTER) + who.heading
    left, forward, turn = pose["place"].T
    x = spot[0] + left * math.cos(heading) + forward * math.sin(heading)
    z = spot[1] - left * math.sin(heading) + forward * math.cos(heading)
    pose["place"] = np.stack([x, z, heading + turn], axis=1)
    return joints(pose, who.physique, who.elbow, who.stance)


def _pose(move: Move, who: Performer, time: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Channels (F, 3) by name, with sides resolved, as `body.joints` wants them."""
    amplitude = who.amplitude * math.exp(rng.normal(0, AMPLITUDE_JITTER))
    cycles = math.exp(rng.normal(0, CYCLE_JITTER))
    phase = rng.uniform()
    time = time + rng.normal(0, TIME_WARP) * np.sin(math.pi * np.clip(time, 0, 1)) ** 2
    rest = _rest(who, rng)
    pose = {name: _follow(move.keys.get(name, ()), rest[name], amplitude, name, time, rng) for name in CHANNELS}
    for name, waves in groupby(sorted(move.waves, key=lambda wave: wave.channel), key=lambda wave: wave.channel):
        pose[name] = pose[name] + sum(_oscillate(wave, amplitude, cycles, phase, time) for wave in waves)
    if rng.random() < FIDGET_ODDS and "other_hand" not in move.keys:
        pose["other_hand"] += _bump(time, rng) * rng.normal(0, (0.15, 0.3, 0.25))
    if rng.random() < GLANCE_ODDS:
        pose["head"] += _bump(time, rng) * rng.normal(0, (0.2, 0.08, 0.45))
    left_handed = who.left_handed != (rng.random() < OTHER_HAND_ODDS)
    sides = ("left", "right") if left_handed else ("right", "left")
    pose |= {f"{sides[0]}_{limb}": pose.pop(f"main_{limb}") for limb in ("hand", "foot")}
    pose |= {f"{sides[1]}_{limb}": pose.pop(f"other_{limb}") for limb in ("hand", "foot")}
    if left_handed:
        pose |= {name: pose[name] * sign for name, sign in _MIRRORED.items()}
    for name, size in IDLE_SWAY.items():
        pose[name] = pose[name] + _sway(len(time), size, rng)
    return pose


def _rest(who: Performer, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Where each channel rests today."""
    rest = {name: np.zeros(3) for name in CHANNELS}
    rest["trunk"] = who.lean + rng.normal(0, 0.03, 3)
    rest["head"] = rng.normal((0.08, 0.0, 0.0), 0.07)
    idle = idle_hands(rng) if rng.random() < UNUSUAL_REST_ODDS else who.idle
    rest["main_hand"], rest["other_hand"] = idle + rng.normal(0, 0.04, (2, 3))
    rest["main_foot"], rest["other_foot"] = rng.normal(0, (0.02, 0.0, 0.06), (2, 3))
    return rest


def _follow(
    keys: tuple[Key, ...],
    rest: np.ndarray,
    amplitude: float,
    channel: str,
    time: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """A channel (F, 3) that passes through its varied keys, accelerating and braking smoothly between two."""
    if not keys:
        return np.tile(rest, (len(time), 1))
    if channel == "place":
        amplitude, jitter = 1.0, 0.02  # people meet where they meet, however large their gestures are
    else:
        jitter = KEY_JITTER * (0.5 if channel in ("pelvis", "trunk") else 1.0)
    planned = np.array([key for key, _ in keys])
    # Gaps are stretched, not keys moved: two close keys must not collapse into a jump.
    gaps = np.maximum(np.diff(planned), 0.02) * np.exp(rng.normal(0, KEY_GAP_JITTER, len(keys) - 1))
    times = planned[0] + rng.normal(0, KEY_TIME_JITTER) + np.concatenate([[0.0], np.cumsum(gaps)])
    values = np.array([rest if value is None else value for _, value in keys])
    moved = np.array([value is not None for _, value in keys])
    # One draw for neighbouring keys of the same value: a pose that is held stays held.
    offset = rng.normal(0, jitter, 3)
    values[moved] = rest + (values[moved] - rest) * amplitude + offset
    index = np.clip(np.searchsorted(times, time, side="right") - 1, 0, len(keys) - 2)
    part = np.clip((time - times[index]) / gaps[index], 0.0, 1.0)[:, None]
    smooth = part**3 * (10 - 15 * part + 6 * part**2)  # minimum jerk (Flash and Hogan 1985)
    way = np.diff(values, axis=0)
    followed: np.ndarray = values[index] + way[index] * smooth
    if channel.endswith("hand"):  # hands travel around the shoulder, not through it
        followed += HAND_ARC * (np.linalg.norm(way, axis=1)[index, None] * smooth * (1 - smooth))
    return followed


def _oscillate(wave: Wave, amplitude: float, cycles: float, phase: float, time: np.ndarray) -> np.ndarray:
    """A wave (F, 3) within its window, fading in and out."""
    part = (time - wave.start) / (wave.stop - wave.start)
    arc = np.sin(2 * math.pi * (wave.cycles * cycles * part + wave.phase + phase))
    if wave.shape == "bounce":
        arc = np.abs(arc)
    elif wave.shape == "half":
        arc = np.maximum(arc, 0.0)
    swing: np.ndarray = (np.clip(np.minimum(part, 1 - part) * 8, 0, 1) * arc)[:, None] * wave.amplitude * amplitude
    return swing


def _bump(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(F, 1) between 0 and 1: a gesture somewhere in the clip."""
    centre, width = rng.uniform(0.0, 1.0), rng.uniform(0.1, 0.3)
    bump: np.ndarray = np.exp(-(((time - centre) / width) ** 2))[:, None]
    return bump


def _sway(frames: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """(F, 3) slow idle motion: two sines a component, 0.15 to 0.7 Hz."""
    hertz, phase = rng.uniform(0.15, 0.7, (2, 1, 3)), rng.uniform(0, 2 * math.pi, (2, 1, 3))
    time = np.arange(frames)[None, :, None] / FPS
    sway: np.ndarray = size * np.sin(2 * math.pi * hertz * time + phase).sum(axis=0) / math.sqrt(2)
    return sway
