"""What the rows of one method are called: its name, then what tells each from the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from stars_bench.report.results.entries import CHANGED, Entry
from stars_bench.report.results.result import group_by

NAMED_OTHERWISE = (
    "recipe",
    "method.preset",
    "precision",
    "dataset.stream",
    "dataset.clip_input",
    "init.dataset",
    "init.protocol",
    ".checkpoint_rule",
)
"""Parts of an identity that a label names in words of their own."""
DIGITS = 12
"""What is shown of a checksum."""
_CHECKSUM = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}")
MOST_IN_A_LABEL, LONGEST_IN_A_LABEL = 2, 32  # settings, and characters of each


def labels(entries: Sequence[Entry]) -> dict[Entry, str]:
    """Name the rows of one benchmark; a short key stands where it is too much to say what tells a row apart."""
    found: dict[Entry, str] = {}
    for same in group_by(entries, lambda entry: entry.method).values():
        named = {entry: _label(entry, same) for entry in same}
        count = Counter(named.values())
        found |= {entry: f"{label} [{entry.key}]" if count[label] > 1 else label for entry, label in named.items()}
    return found


def differing(same: Sequence[Entry]) -> list[str]:
    """List the names of what is not alike in all rows that have it."""
    names = dict.fromkeys(name for entry in same for name in entry.identity)
    return [name for name in names if len({value_of(entry, name) for entry in same} - {None}) > 1]


def setting(entry: Entry, name: str) -> str:
    """Say in a few words what a row has under a name of its identity: `linear epochs 20`."""
    plain = name.removeprefix("method.config.").replace(".config.", " ").replace(".", " ").replace("_", " ")
    return f"{plain} {value_of(entry, name)}"


def value_of(entry: Entry, name: str) -> str | None:
    """Print a value of a row's identity in few characters; None where the row has nothing to say (no such column)."""
    if name not in entry.identity:
        return "unset" if name.startswith("method.config.") else None
    value = str(entry.identity[name])
    return value[:DIGITS] if _is_checksum(entry, name) else value


def _is_checksum(entry: Entry, name: str) -> bool:
    return _CHECKSUM.fullmatch(str(entry.identity.get(name))) is not None


def _label(entry: Entry, same: Sequence[Entry]) -> str:
    words = _apart(entry, same)
    return f"{entry.method} ({', '.join(words)})" if words else entry.method


def _apart(entry: Entry, same: Sequence[Entry]) -> list[str]:
    """Return what tells a row from the other rows of its method: input, start, recipe, preset, precision, two settings.

    A setting is named where it is not the usual one: that of the only row whose preset is unchanged, or of most rows.
    """
    words = [*filter(None, [entry.records[0].origin])]
    for fact in (_recipe, _preset, _precision, _epoch):
        if len({fact(other) for other in same}) > 1:
            words.append(fact(entry))
    of_preset = [other for other in same if (_recipe(other), _preset(other)) == (_recipe(entry), _preset(entry))]
    names = [
        name
        for name in differing(of_preset)
        if not name.endswith(NAMED_OTHERWISE) and value_of(entry, name) not in (None, _usual(name, of_preset))
    ]
    settings = [setting(entry, name) for name in names]
    few = len(settings) <= MOST_IN_A_LABEL and all(len(one) <= LONGEST_IN_A_LABEL for one in settings)
    return [*words, *settings] if few and not any(_is_checksum(entry, name) for name in names) else words


def _recipe(entry: Entry) -> str:
    return "own recipe" if entry.records[0].is_own_recipe else "common recipe"


def _preset(entry: Entry) -> str:
    """Return the preset that its settings began as; the paper's name alone stands for its recipe whole."""
    method = entry.records[0].method
    preset = method.preset.removeprefix(CHANGED)
    return f"{preset} settings" if method.recipe == "common" and preset.startswith("paper") else preset


def _precision(entry: Entry) -> str:
    return entry.records[0].environment.precision


def _epoch(entry: Entry) -> str:
    """Return how its epoch was chosen."""
    words = {"last": "last epoch", "validation": "epoch by validation", "best-on-test": "epoch by test part"}
    return words[entry.records[0].select]


def _usual(name: str, same: Sequence[Entry]) -> str | None:
    """Return the value that goes without saying; None where there is none."""
    unchanged = [entry for entry in same if not entry.records[0].method.preset.startswith(CHANGED)]
    if len(unchanged) == 1 < len(same):
        return value_of(unchanged[0], name)
    (value, count), *_ = Counter(value_of(entry, name) for entry in same).most_common(1)
    return value if 2 * count > len(same) else None
