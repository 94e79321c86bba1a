r"""What a LaTeX table cites: \cite where there is a .bib file, else the sources in words under the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from stars_bench.records.published.numbers import Published
from stars_bench.records.record import Record
from stars_bench.report.bibliography import Bibliography
from stars_bench.report.latex_escape import escape
from stars_bench.report.results.published import stated
from stars_bench.report.results.result import PublishedResult, Result
from stars_bench.report.table import Row


class Cites:
    r"""Citations and the footnotes of published rows: \cite for sources, numbered remarks for what contradicts them."""

    def __init__(self, bibliography: Bibliography, cites: bool) -> None:
        self.bibliography, self.cites = bibliography, cites
        self.remarks: dict[str, str] = {}

    def methods(self, records: Iterable[Record]) -> str:
        """Return the papers of what was measured."""
        return self._cite([key for record in records for key in self.bibliography.cite_method(record)])

    def datasets(self, records: Iterable[Record]) -> str:
        """Return the papers of what it was measured on."""
        return self._cite([key for record in records for key in self.bibliography.cite_dataset(record)])

    def label(self, row: Row) -> str:
        """Return what follows the label of a row."""
        results = [cell.value for cell in row.cells if isinstance(cell.value, Result)]
        return self.published(row) if row.is_published else self.methods(of_results(results))

    def published(self, row: Row) -> str:
        """Return what follows the label of a published row."""
        results = [cell.value for cell in row.cells if isinstance(cell.value, PublishedResult)]
        sources = dict.fromkeys(source for result in results for source in _cited(result.number))
        if not self.cites:
            return "".join(self._remark(f"Read in {escape(source, breakable=True)}.") for source in sources)
        papers = self.bibliography.cite_published(row.method)
        keys = [*papers, *map(self.bibliography.cite_source, sources)]
        signs = (
            "" if papers else self._remark("No entry for its paper, which could not be checked: the source is cited.")
        )
        several = len({result.benchmark for result in results}) > 1
        for result in results:
            if result.number.conflicts:
                others = "; ".join(self._other(other, result.number) for other in result.number.conflicts)
                place = f"{result.benchmark.name} {result.measure.title}" if several else result.measure.title
                signs += self._remark(f"{escape(place)}: other sources say {others}.")
        return self._cite(keys) + signs

    def _other(self, number: Published, printed: Published) -> str:
        cited = self._cite([self.bibliography.cite_source(number.sources[0])])
        return f"{number.value:g} as {escape(stated(number, printed))}{cited}"

    def _remark(self, text: str) -> str:
        return f"$^{{{self.remarks.setdefault(text, str(len(self.remarks) + 1))}}}$"

    def _cite(self, keys: Sequence[str]) -> str:
        return f"~\\cite{{{','.join(dict.fromkeys(keys))}}}" if keys and self.cites else ""


def _cited(number: Published) -> tuple[str, ...]:
    """Return the places to cite: the authors' own alone, where it is theirs."""
    return number.sources[:1] if number.is_first_hand else number.sources


def of_results(results: Iterable[Result]) -> Iterator[Record]:
    """Yield the records of measured numbers.

    Args:
        results: The numbers.
    """
    return (record for result in results for record in result.records)
