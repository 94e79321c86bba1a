"""Two runs side by side: are their numbers comparable, how far are they apart on the same clips, what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.finished.rescore import record_paths_of_run
from stars_bench.io.files import digest_json
from stars_bench.records import store
from stars_bench.records.comparability import comparable
from stars_bench.records.paired.differences import Difference, difference
from stars_bench.records.paired.hits import read_hits
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord


@dataclass(frozen=True)
class Compared:
    """One evaluation of two runs.

    Attributes:
        title: the evaluation: `k-NN k=1`.
        pairs: seed of the first, seed of the second, and why the two are not comparable; no reasons: they are.
        seeds: how many results each run has, over seeds and lists of labelled clips.
        accuracies: mean top-1 accuracy of each in %; None without a difference.
        difference: the first less the second; None where it cannot be computed.
        why_none: why not; else empty.
    """

    title: str
    pairs: tuple[tuple[int, int, tuple[str, ...]], ...]
    seeds: tuple[int, int]
    accuracies: tuple[float, float] | None
    difference: Difference | None
    why_none: str


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        evaluations: those that both have.
        settings: every setting of the methods that differs, as `method.lr 0.001 / 0.0003`.
        circumstances: what else differs: versions, device, precision.
    """

    evaluations: tuple[Compared, ...]
    settings: tuple[str, ...]
    circumstances: tuple[str, ...]


def compare(first: Path, second: Path, by: str | None = None) -> Comparison:
    """Compare two runs.

    Args:
        first: a run's folder, or a record's file.
        second: another.
        by: "person" or "performance": what is sampled; None: persons where there are four or more.

    Raises:
        UsageError: a folder holds no records or several runs, the runs have no evaluation in common, or the data does
            not name what `by` asks for.
    """
    ours, theirs = _of_one_setting(_records(first), _records(second))
    pairs = comparable.pairs([one.record for one in ours], [one.record for one in theirs])
    if not pairs:
        raise UsageError(f"nothing to compare: {_what_each_has((first, second), (ours, theirs))}")
    pairs = sorted(pairs, key=lambda pair: pair[0].evaluation.order)
    titles = dict.fromkeys(one.evaluation.title for one, _ in pairs)
    return Comparison(
        tuple(_compared(title, pairs, ours, theirs, by) for title in titles),
        tuple(dict.fromkeys(line for pair in pairs for line in comparable.settings(*pair))),
        tuple(dict.fromkeys(line for pair in pairs for line in comparable.to_know(*pair))),
    )


def _what_each_has(runs: Sequence[Path], found: Sequence[Sequence[StoredRecord]]) -> str:
    """Say which evaluations two runs have, none of them both, and how one gets those of the other."""
    titles = [dict.fromkeys(map(_title, sorted(own, key=lambda one: one.record.evaluation.order))) for own in found]
    lists = [f"{run} has {', '.join(own) or 'no result'}" for run, own in zip(runs, titles, strict=True)]
    names = [{one.record.evaluation.name for one in own} for own in found]
    same = sorted(names[0] & names[1])
    how = f"the settings of {same[0]}, with --set {same[0]}.NAME=VALUE" if same else "an --eval of the other"
    return f"{', '.join(lists)}; give one of them once more with {how}"


def _records(run: Path) -> list[StoredRecord]:
    found = [StoredRecord(store.read_record(path), path) for path in record_paths_of_run(run)]
    configs = {digest_json([one.record.method.name, one.record.method.config]) for one in found}
    if len(configs) > 1:
        raise UsageError(f"{run}: holds {len(configs)} runs with other settings; give the folder of one of them")
    return found


def _of_one_setting(*runs: Sequence[StoredRecord]) -> list[list[StoredRecord]]:
    """Keep, of each evaluation, the results of one setting: the newest that all runs have, else each one's newest."""
    newest: dict[str, str] = {}
    for one in sorted((one for stored in runs for one in stored), key=lambda one: one.record.finished):
        newest[_setting(one)] = str(one.record.finished)
    kept: list[list[StoredRecord]] = [[] for _ in runs]
    for title in dict.fromkeys(_title(one) for stored in runs for one in stored):
        found = [{_setting(one) for one in stored if _title(one) == title} for stored in runs]
        for stored, own, settings in zip(runs, kept, found, strict=True):
            chosen = max(sorted(set.intersection(*found) or settings), key=lambda one: newest[one], default="")
            own += [one for one in stored if _setting(one) == chosen]
    return kept


def _setting(one: StoredRecord) -> str:
    evaluation = one.record.evaluation
    return digest_json([evaluation.title, evaluation.config, evaluation.checkpoint_rule])


def _compared(
    title: str,
    pairs: Sequence[tuple[Record, Record]],
    ours: Sequence[StoredRecord],
    theirs: Sequence[StoredRecord],
    by: str | None,
) -> Compared:
    own = [pair for pair in pairs if pair[0].evaluation.title == title]
    both = [_by_seed(title, stored) for stored in (ours, theirs)]
    found, accuracies, why_none = None, None, ""
    tested = {(record.dataset.digest, record.protocol.test_digest) for pair in own for record in pair}
    hits = [read_hits(stored) for stored in both] if len(tested) == 1 else []
    if not hits:
        same = len({test for _, test in tested}) == 1
        why_none = f"the two were measured on {'other prepared data' if same else 'other test clips'}"
    elif hits[0] is None or hits[1] is None:
        why_none = "predictions are gone or changed, or nothing is classified"
    else:
        try:
            found = difference(hits[0], hits[1], by)
            accuracies = 100 * float(hits[0].mean.mean()), 100 * float(hits[1].mean.mean())
        except UsageError:
            raise
        except StarsBenchError as error:
            why_none = str(error)
    verdicts = tuple((one.seed, other.seed, tuple(comparable.why_not(one, other))) for one, other in own)
    return Compared(title, verdicts, (len(both[0]), len(both[1])), accuracies, found, why_none)


def _by_seed(title: str, stored: Sequence[StoredRecord]) -> list[StoredRecord]:
    """One record for each seed and list of labelled clips."""
    named = {(one.record.seed, *one.record.evaluation.replicate): one for one in stored if _title(one) == title}
    return list(named.values())


def _title(one: StoredRecord) -> str:
    return one.record.evaluation.title
