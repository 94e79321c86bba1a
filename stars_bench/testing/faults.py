"""The faults that a check finds: one line each, raised together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from stars_bench.errors import StarsBenchError, one_line


class NotConforming(StarsBenchError):
    """A plug-in does not satisfy its contract.

    The text of the error is all faults on one line.

    Attributes:
        faults: One line for each fault.
    """

    def __init__(self, name: str, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{name}: {'; '.join(self.faults)}")


Tell = Callable[[str], None]
"""Takes a fault."""


@contextmanager
def collected(name: str) -> Iterator[Tell]:
    """Yield a function that takes faults; raise them together at the end.

    Raises:
        NotConforming: There were faults; an error that ends the check itself is one of them.
    """
    faults: list[str] = []
    try:
        yield faults.append
    except Exception as error:
        faults.append(f"the check could not go on ({one_line(error)})")
        raise NotConforming(name, faults) from error
    if faults:
        raise NotConforming(name, faults)
