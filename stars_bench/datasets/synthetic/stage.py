"""Which clips there can be: NTU names, who performs in which setup, and what a set of a given size consists of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product

import numpy as np

from stars_bench.datasets.synthetic.actions import ACTIONS, DEFAULT_ACTIONS

CAMERAS, REPLICATIONS = (1, 2, 3), (1, 2)
NTU60_SETUPS = 17  # setups up to here film actions 1 to 60, later ones 61 to 120
NTU60_ACTIONS = 60

# The quickstart: 29 performers, of whom 17 train cross-subject; two odd and two even setups.
DEFAULT_SETUPS = (1, 2, 5, 8)
DEFAULT_CLIPS = 1008

_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")


@dataclass(frozen=True, order=True)
class ClipName:
    """The parts of an NTU name."""

    setup: int
    camera: int
    performer: int
    replication: int
    action: int

    def __str__(self) -> str:
        numbers = (self.setup, self.camera, self.performer, self.replication, self.action)
        return "".join(f"{letter}{number:03d}" for letter, number in zip("SCPRA", numbers, strict=True))

    @classmethod
    def parse(cls, name: str) -> ClipName:
        """Reads a name.

        Raises:
            ValueError: not an NTU name, or of an action that has no choreography.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            raise ValueError(f"{name!r} is no NTU clip name (SsssCcccPpppRrrrAaaa)")
        parts = cls(*map(int, match.groups()))
        if parts.action not in ACTIONS:
            raise ValueError(f"{name!r}: action {parts.action} has no choreography")
        if parts.performer not in setup_performers().get(parts.setup, ()) or parts.camera not in CAMERAS:
            raise ValueError(f"{name!r}: no such setup, performer or camera in NTU RGB+D")
        return parts


@cache
def setup_performers() -> dict[int, tuple[int, ...]]:
    """Performers of each setup, as in NTU RGB+D."""
    rows = (line.split(":") for line in _listed("ntu_setup_performers.txt"))
    return {int(setup): tuple(map(int, performers.split())) for setup, performers in rows}


@cache
def missing_names() -> frozenset[str]:
    """Names that everybody leaves out: a made-up clip must not bear one."""
    return frozenset(_listed("ntu_missing.txt"))


def clip_names(
    setups: Sequence[int] | None = DEFAULT_SETUPS,
    actions: Sequence[int] | None = None,
    limit: int | None = DEFAULT_CLIPS,
) -> list[str]:
    """Valid NTU names, sorted, of clips that can be made; without arguments the quickstart's.

    Args:
        setups: setups 1 to 32; None: all.
        actions: action numbers of `ACTIONS`; None: `DEFAULT_ACTIONS` in the default setups, else all of `ACTIONS`.
        limit: at most so many clips, balanced over actions, all cameras of a performance together; a smaller set is
            part of a larger one. None: every setup x performer x camera x replication x action.
    """
    chosen = tuple(sorted(setup_performers())) if setups is None else tuple(sorted(set(setups)))
    if actions is None:
        actions = DEFAULT_ACTIONS if chosen == DEFAULT_SETUPS else tuple(ACTIONS)
    names: list[str] = []
    for performance in _performances(chosen, tuple(sorted(set(actions)))):
        if limit is not None and len(names) >= limit:
            break
        clips = (str(ClipName(performance[0], camera, *performance[1:])) for camera in CAMERAS)
        names += (name for name in clips if name not in missing_names())
    return sorted(names[:limit])


def _performances(setups: tuple[int, ...], actions: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """(setup, performer, replication, action), shuffled in a fixed way, one of each action in turn."""
    queues = []
    for action in actions:
        fitting = [setup for setup in setups if (setup <= NTU60_SETUPS) == (action <= NTU60_ACTIONS)]
        pairs = [(setup, number) for setup in fitting for number in setup_performers()[setup]]
        takes = list(product(pairs, REPLICATIONS))
        order = np.random.default_rng(action).permutation(len(takes))
        queues.append([(*takes[i][0], takes[i][1], action) for i in order])
    for turn in range(max(map(len, queues), default=0)):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def _listed(name: str) -> list[str]:
    text = files("stars_bench.datasets").joinpath("lists", name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip()]
