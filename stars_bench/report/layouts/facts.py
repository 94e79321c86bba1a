"""Columns that say something of a row and are no results: its network, year, cost, number of seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from stars_bench.api import Citation
from stars_bench.records.record import Record
from stars_bench.report.bibliography import papers_named
from stars_bench.report.layouts.select import short_streams
from stars_bench.report.results.result import PUBLISHED_RECIPE, PublishedResult, Result, recipes_of

HEADS: Mapping[str, str] = {
    "pretrained_on": "pre-trained on",
    "parameters": "params (M)",
    "multiply_adds": "MACs (G)",
    "hours": "hours",
}
"""Heads that are not the fact's own name."""
NUMBERS = ("seeds", "year", "frames", "parameters", "multiply_adds", "hours")
"""Facts that are numbers."""
PREPRINT = "arXiv preprint"


def of_measured(fact: str, results: Sequence[Result]) -> str:
    """Return a fact of a measured row; empty where it is not known.

    Args:
        fact: Its name.
        results: The numbers of the row.
    """
    make = MEASURED.get(fact)
    return make(results) if make is not None and results else ""


def of_published(fact: str, results: Sequence[PublishedResult]) -> str:
    """Return a fact of a published row; empty where it is not known.

    Args:
        fact: Its name.
        results: The numbers of the row.
    """
    make = PUBLISHED.get(fact)
    return make(results) if make is not None and results else ""


def hours(results: Sequence[Result]) -> float | None:
    """Return the hours of a device that all trainings of a row took, as a mean over seeds; None if unknown.

    Several processes count as several devices. A probe's training counts, too.

    Args:
        results: Numbers of one row.
    """
    by_seed: dict[int, dict[str, float]] = {}
    for record in _records(results):
        for stage in record.stages:
            by_seed.setdefault(record.seed, {})[stage.key] = stage.seconds * stage.processes / 3600
    return fmean(sum(stages.values()) for stages in by_seed.values()) if by_seed else None


def multiply_adds(results: Sequence[Result]) -> int | None:
    """Return the multiply-adds of the encoder, or of all that were summed, for one clip; None if unknown.

    Args:
        results: Numbers of one row.
    """
    known = [
        _encoders(record) * adds for record in _records(results) if (adds := record.method.multiply_adds) is not None
    ]
    return max(known, default=None)


def devices(results: Sequence[Result]) -> list[str]:
    """Name the devices that measured numbers come from.

    Args:
        results: The numbers.
    """
    return sorted({record.environment.device for record in _records(results)})


def _records(results: Sequence[Result]) -> list[Record]:
    return [record for result in results for record in result.records]


def _encoders(record: Record) -> int:
    """Return how many encoders a number needs: one for each stream that is summed."""
    return max(1, len(record.fused))


def _seeds(results: Sequence[Result]) -> str:
    counts = sorted({result.seeds for result in results})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"


def _once(make: Callable[[Record], object]) -> Callable[[Sequence[Result]], str]:
    """Return a fact of records: every different value once."""
    return lambda results: ", ".join(dict.fromkeys(str(one) for record in _records(results) if (one := make(record))))


def _paper(record: Record) -> Citation | None:
    known = record.method.citations
    papers = papers_named(record.method.name) if known is None else known
    return papers[0] if papers else None


def _venue(paper: Citation | None) -> str:
    """Return venue and year as tables write them: `ECCV'22`."""
    if paper is None or not paper.venue:
        return ""
    year = "" if paper.year is None else f"'{paper.year % 100:02}"
    return f"{'arXiv' if paper.venue == PREPRINT else paper.venue}{year}"


def _year(paper: Citation | None) -> str:
    return "" if paper is None or paper.year is None else str(paper.year)


def _start(record: Record) -> str:
    return (
        "" if record.init is None else f"{record.init.dataset or 'unknown data'} {record.init.protocol or ''}".strip()
    )


def _hours(results: Sequence[Result]) -> str:
    found = hours(results)
    return "" if found is None else f"{found:.1f}" if found >= 1 else f"{found:.2g}"


def _multiply_adds(results: Sequence[Result]) -> str:
    found = multiply_adds(results)
    return "" if found is None else f"{found / 1e9:.2f}"


def _published_year(results: Sequence[PublishedResult]) -> str:
    return next((str(one.number.year) for one in results if one.number.year is not None), "")


def _published_venue(results: Sequence[PublishedResult]) -> str:
    papers = papers_named(results[0].method)
    return _venue(papers[0] if papers else None)


MEASURED: Mapping[str, Callable[[Sequence[Result]], str]] = {
    "seeds": _seeds,
    "streams": _once(lambda record: short_streams(record.dataset.stream)),
    "year": _once(lambda record: _year(_paper(record))),
    "venue": _once(lambda record: _venue(_paper(record))),
    "frames": _once(lambda record: record.method.config.get("frames")),
    "pretrained_on": _once(_start),
    "recipe": recipes_of,
    "preset": _once(lambda record: record.method.preset),
    "parameters": _once(lambda record: f"{_encoders(record) * record.method.parameters / 1e6:.1f}"),
    "multiply_adds": _multiply_adds,
    "hours": _hours,
}
PUBLISHED: Mapping[str, Callable[[Sequence[PublishedResult]], str]] = {
    "streams": lambda results: ", ".join(dict.fromkeys(short_streams(one.number.streams) for one in results)),
    "backbone": lambda results: ", ".join(dict.fromkeys(one.number.backbone for one in results if one.number.backbone)),
    "year": _published_year,
    "venue": _published_venue,
    "recipe": lambda results: PUBLISHED_RECIPE,  # noqa: ARG005
}
KNOWN = tuple(dict.fromkeys((*MEASURED, *PUBLISHED)))
"""Facts that are known without a word in the file."""
