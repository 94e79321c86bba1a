"""What a check finds: faults of one line each, raised together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from stars_bench.errors import StarsBenchError, one_line


class NotConforming(StarsBenchError):
    """A plug-in does not keep to its contract. `faults`: one line each; as text all of them, on one line."""

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{name}: {'; '.join(self.faults)}")


Tell = Callable[[str], None]
"""Takes a fault."""


@contextmanager
def collected(name: str) -> Iterator[Tell]:
    """Gives a function that takes faults; raises them together at the end.

    Raises:
        NotConforming: there were some. What ends the check itself is one of them.
    """
    faults: list[str] = []
    try:
        yield faults.append
    except Exception as error:
        faults.append(f"the check could not go on ({one_line(error)})")
        raise NotConforming(name, faults) from error
    if faults:
        raise NotConforming(name, faults)
