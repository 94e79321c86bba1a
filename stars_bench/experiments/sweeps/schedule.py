"""Members to slots: one after another, several at once; what waits for another process does not hold a slot."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stars_bench.experiments.sweeps.members import Member, keep
from stars_bench.experiments.sweeps.slots import Slot
from stars_bench.experiments.sweeps.worker import Result, Task
from stars_bench.io.files import is_locked

LOOK_SECONDS = 0.2
"""Time between two looks at what runs."""
AGAIN_SECONDS = 2.0
"""How soon at the earliest a member is tried again for which another process had to be waited."""


@dataclass
class State:
    """How far a sweep has come.

    Attributes:
        waiting: Members to be run, in order.
        running: Members that run.
        done: Members that are done, with the files of their records.
        failed: Members that failed, with the reason in one line.
        seconds: What each member took that was run now.
        taken: Number of members that were there before.
    """

    waiting: list[Member]
    running: list[Member] = field(default_factory=list)
    done: dict[Member, tuple[str, ...]] = field(default_factory=dict)
    failed: dict[Member, str] = field(default_factory=dict)
    seconds: dict[Member, float] = field(default_factory=dict)
    taken: int = 0

    @classmethod
    def of(cls, members: Sequence[Member]) -> State:
        """Return the state before anything is run: results that exist are done."""
        done = {one: one.records for one in members if one.records is not None}
        return cls([one for one in members if one not in done], done=done, taken=len(done))


def schedule(
    members: Sequence[Member],
    slots: Sequence[Slot],
    sweep: str,
    modules: Sequence[str],
    show: Callable[[State], None],
) -> State:
    """Run all members that are not there yet.

    Args:
        members: The members.
        slots: Where they are computed.
        sweep: Name of the sweep.
        modules: Modules of the user, which workers import.
        show: Called often, with how far it has come.

    Returns:
        The state at the end.
    """
    state = State.of(members)
    places: dict[int, Member] = {}
    held: dict[Member, tuple[Path, float]] = {}  # the lock that a member waits for, and since when
    try:
        while state.waiting or places:
            for number, slot in enumerate(slots):
                if number in places and (result := slot.result()) is not None:
                    _ended(state, places.pop(number), result, held)
                if number not in places and (member := _next(state, held)) is not None:
                    state.waiting.remove(member)
                    places[number] = member
                    _forget(member.files(sweep))
                    slot.start(Task(member.request, member.files(sweep), modules))
            state.running = list(places.values())
            show(state)
            if state.waiting or places:
                time.sleep(LOOK_SECONDS)
    finally:
        for slot in slots:
            slot.stop()
    return state


def _next(state: State, held: dict[Member, tuple[Path, float]]) -> Member | None:
    """Return the first member that need not wait for another process."""
    for member in state.waiting:
        if member not in held:
            return member
        lock, since = held[member]
        if time.monotonic() - since >= AGAIN_SECONDS and not is_locked(lock):
            del held[member]
            return member
    return None


def _ended(state: State, member: Member, result: Result, held: dict[Member, tuple[Path, float]]) -> None:
    if result.busy is not None:
        held[member] = result.busy, time.monotonic()
        state.waiting.append(member)
    elif result.failure is not None:
        state.failed[member] = result.failure
    else:
        keep(member, result.records)
        state.done[member] = result.records
        state.seconds[member] = result.seconds


def _forget(files: Path) -> None:
    """Remove what an earlier sweep's worker said of its progress."""
    files.parent.mkdir(parents=True, exist_ok=True)
    files.with_suffix(".json").unlink(missing_ok=True)
