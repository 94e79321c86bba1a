"""The clips that exist: the names of NTU RGB+D 120, the performers of each setup, and the clips of a set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import product
from typing import NamedTuple

import numpy as np

from stars_bench.datasets.synthetic.actions.actions import ACTIONS, DEFAULT_ACTIONS

CAMERAS, REPLICATIONS = (1, 2, 3), (1, 2)
NTU60_SETUPS = 17  # setups up to here film actions 1 to 60, later ones 61 to 120
NTU60_ACTIONS = 60

# The quickstart: 29 performers, of whom 17 train cross-subject; two odd and two even setups.
DEFAULT_SETUPS = (1, 2, 5, 8)
DEFAULT_CLIPS = 1008

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


class ClipName(NamedTuple):
    """The parts of an NTU name, 1-based as printed.

    Args:
        setup: Number of the setup.
        camera: Number of the camera.
        performer: Number of the performer.
        replication: Number of the replication.
        action: Number of the action.
    """

    setup: int
    camera: int
    performer: int
    replication: int
    action: int

    def __str__(self) -> str:
        setup, camera, performer, replication, action = self
        return f"S{setup:03}C{camera:03}P{performer:03}R{replication:03}A{action:03}"

    @property
    def performance(self) -> tuple[int, int, int, int]:
        """What the three cameras film at once: setup, performer, replication, action."""
        return self.setup, self.performer, self.replication, self.action

    @classmethod
    def parse(cls, name: str) -> ClipName:
        """Parse a name.

        Raises:
            ValueError: The name is not one of a clip of NTU RGB+D 120.
        """
        parts = _parts(name)
        recorded = parts.performer in setup_performers().get(parts.setup, ()) and parts.camera in CAMERAS
        if not recorded or parts.replication not in REPLICATIONS or parts.action not in _actions_of(parts.setup):
            raise ValueError(f"{name!r}: NTU RGB+D 120 has no such clip")
        return parts


def _parts(name: str) -> ClipName:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no NTU clip name (SsssCcccPpppRrrrAaaa)")
    return ClipName(*map(int, match.groups()))


@cache
def setup_performers() -> dict[int, tuple[int, ...]]:
    """Return the performers of each setup, as in NTU RGB+D."""
    rows = (line.split(":") for line in _listed("ntu_setup_performers.txt"))
    return {int(setup): tuple(map(int, performers.split())) for setup, performers in rows}


@cache
def missing_names() -> frozenset[str]:
    """Return the names on the missing list, which a synthetic clip must not have."""
    return frozenset(_listed("ntu_missing.txt"))


def clip_names(
    setups: Sequence[int] | None = DEFAULT_SETUPS,
    actions: Sequence[int] | None = None,
    limit: int | None = DEFAULT_CLIPS,
) -> list[str]:
    """Return the valid NTU names, sorted, of clips that can be made; by default those of the quick start.

    Args:
        setups: Setups from 1 to 32; None: all. Default: those of the quick start.
        actions: Action numbers. Default: None, `DEFAULT_ACTIONS` in the default setups, else all 120.
        limit: Largest number of clips, balanced over actions, with all cameras of a performance together; a smaller set
            is part of a larger one. None: every setup x performer x camera x replication x action. Default: that of the
            quick start.
    """
    return [str(clip) for clip in choose_clips(setups, actions, limit)]


def choose_clips(setups: Sequence[int] | None, actions: Sequence[int] | None, limit: int | None) -> list[ClipName]:
    """Return the clips of `clip_names` as numbers."""
    chosen = tuple(sorted(setup_performers())) if setups is None else tuple(sorted(set(setups)))
    if actions is None:
        actions = DEFAULT_ACTIONS if chosen == DEFAULT_SETUPS else tuple(ACTIONS)
    missing = {_parts(name) for name in missing_names()}
    clips: list[ClipName] = []
    for setup, *rest in _performances(chosen, tuple(sorted(set(actions)))):
        if limit is not None and len(clips) >= limit:
            break
        views = (ClipName(setup, camera, *rest) for camera in CAMERAS)
        clips += (clip for clip in views if clip not in missing)
    return sorted(clips[:limit])


def _performances(setups: tuple[int, ...], actions: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (setup, performer, replication, action), shuffled in a fixed way, one of each action in turn."""
    queues = []
    for action in actions:
        fitting = [setup for setup in setups if action in _actions_of(setup)]
        pairs = [(setup, number) for setup in fitting for number in setup_performers()[setup]]
        takes = list(product(pairs, REPLICATIONS))
        order = np.random.default_rng(action).permutation(len(takes))
        queues.append([(*takes[i][0], takes[i][1], action) for i in order])
    for turn in range(max(map(len, queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def _actions_of(setup: int) -> range:
    return range(1, NTU60_ACTIONS + 1) if setup <= NTU60_SETUPS else range(NTU60_ACTIONS + 1, len(ACTIONS) + 1)


def _listed(name: str) -> list[str]:
    text = files("stars_bench.datasets").joinpath("lists", name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip()]
