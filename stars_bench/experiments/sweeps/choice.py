"""`--choose-by validation`: settings are chosen by the validation part alone; the test part sees the chosen ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stars_bench.errors import StarsBenchError
from stars_bench.experiments.request import Request
from stars_bench.experiments.sweeps.members import Member, stored

VALIDATION = "subjects"
"""What is held out of the training part: persons, as `--validation subjects` does."""


@dataclass(frozen=True)
class Choice:
    """Which settings of a method were chosen on one dataset and protocol.

    Args:
        method: The method.
        place: Dataset (None: the only one) and protocol.
        measure: What was compared.
        scores: The mean of every setting over seeds and streams, in the order of the file.
        chosen: The setting that is tested: the highest mean, of equals the first.
        left_out: Settings that could not be compared, because a run of theirs failed.
        requests: What is run on the test part.
    """

    method: str
    place: tuple[str | None, str]
    measure: str
    scores: Mapping[tuple[str, ...], float]
    chosen: tuple[str, ...]
    left_out: int
    requests: tuple[Request, ...]

    @property
    def line(self) -> str:
        """Say what was chosen by what, in one line."""
        where = " ".join(filter(None, (self.method, *self.place)))
        count = f"{len(self.scores)} settings" if len(self.scores) > 1 else "the only setting"
        failed = f" ({self.left_out} left out: a run failed)" if self.left_out else ""
        equal = sum(score == self.scores[self.chosen] for score in self.scores.values())
        tie = f", the first of {equal} with the same mean," if equal > 1 else ""
        each = "; ".join(f"{self._named(one)} {score:.2f}" for one, score in self.scores.items())
        return (
            f"{where}: {self._named(self.chosen)}{tie} chosen of {count}{failed} by {self.measure} on the validation "
            f"part (training subjects held out), never by the test part: {each}"
        )

    def _named(self, settings: Sequence[str]) -> str:
        """Name settings by what is not the same in all that were compared."""
        others = [one for one in self.scores if one != settings]
        return " ".join(item for item in settings if not others or any(item not in one for one in others)) or "preset"


def for_choice(requests: Sequence[Request]) -> list[Request]:
    """Return the requests that measure every setting on the validation part."""
    return [replace(one, validation=VALIDATION) for one in requests]


def choose(done: Mapping[Member, Sequence[str]], failed: Sequence[Member], evaluation: str | None) -> Iterator[Choice]:
    """Choose the settings of every method on every dataset and protocol.

    Args:
        done: Members that were measured on the validation part, with the files of their records.
        failed: Members that failed.
        evaluation: The evaluation whose first number is compared; None for each member's first.

    Raises:
        StarsBenchError: No setting of a method has all its runs.
    """
    groups: dict[tuple[str, str | None, str], list[Member]] = {}
    for member in (*done, *failed):
        one = member.request
        groups.setdefault((one.method, one.dataset, one.protocol), []).append(member)
    for (method, dataset, protocol), group in groups.items():
        settings: dict[tuple[str, ...], list[Member]] = {}
        for member in group:
            settings.setdefault(tuple(member.request.overrides), []).append(member)
        complete = {one: each for one, each in settings.items() if all(member in done for member in each)}
        if not complete:
            raise StarsBenchError(f"{method} {protocol}: nothing can be chosen, a run of every setting failed")
        measured = {one: [_number(done[member], evaluation) for member in each] for one, each in complete.items()}
        scores = {one: float(np.mean([value for _, value in each])) for one, each in measured.items()}
        chosen = max(scores, key=lambda one: scores[one])
        yield Choice(
            method=method,
            place=(dataset, protocol),
            measure=f"{measured[chosen][0][0]} (mean of {len(measured[chosen])} runs)",
            scores=scores,
            chosen=chosen,
            left_out=len(settings) - len(complete),
            requests=tuple(replace(member.request, validation=None) for member in complete[chosen]),
        )


def _number(files: Sequence[str], evaluation: str | None) -> tuple[str, float]:
    """Return the name and value of the number that is compared."""
    records = [one.record for one in stored(files)]
    wanted = [one for one in records if evaluation in (None, one.evaluation.name)]
    if not wanted:
        names = ", ".join(dict.fromkeys(one.evaluation.name for one in records))
        raise StarsBenchError(f"choose_on = {evaluation}: was not evaluated ({names} were)")
    metric = wanted[0].metrics[0]
    return f"{wanted[0].evaluation.title} {metric.name}", metric.value
