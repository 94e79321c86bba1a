"""Names chosen by patterns: `stars,*CLR` as a shell reads them, in any case."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

from stars_bench.errors import UsageError

SHOWN = 12


def by_patterns(names: Iterable[str], patterns: str, option: str, what: str) -> list[str]:
    """Return the names that match one of the patterns, separated by commas, in their order.

    Raises:
        UsageError: A pattern that fits none; the line says which there are, or which are near.
    """
    there = list(dict.fromkeys(names))
    wanted = [pattern.strip() for pattern in patterns.split(",") if pattern.strip()]
    for pattern in wanted or [patterns]:
        if not any(_fits(name, pattern) for name in there):
            near = get_close_matches(pattern.casefold(), [name.casefold() for name in there], 3)
            nearest = sorted(
                (name for name in there if name.casefold() in near), key=lambda n: near.index(n.casefold())
            )
            known = f"did you mean {', '.join(nearest)}?" if nearest else f"there are {_listed(there)}"
            raise UsageError(f"{option} {pattern!r}: fits none of the {what}; {known}")
    return [name for name in there if any(_fits(name, pattern) for pattern in wanted)]


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name.casefold(), pattern.casefold())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(sorted(names)[:SHOWN]) + more
