"""What a report cites, as BibTeX: papers of methods and datasets, and the places where published numbers were read.

A measured row cites what its record says; `run` took that from the method's class and the dataset's spec. Published
rows, and records from before schema 6, have a name alone: shipped methods say theirs, `bibliography.toml` has others.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from typing import Any

from stars_bench import registry
from stars_bench.api import Citation
from stars_bench.records.record import Record
from stars_bench.report.latex_escape import escape


@dataclass
class Bibliography:
    """Entries of a .bib file.

    Args:
        entries: Entries by key, in the order in which they are first cited. Default: none.
    """

    entries: dict[str, str] = field(default_factory=dict)

    def cite(self, citations: Sequence[Citation]) -> list[str]:
        """Return keys of publications; another publication that claims a key already taken gets a number behind it."""
        return [self._add(one.key, partial(_article, one)) for one in citations]

    def cite_method(self, record: Record) -> list[str]:
        """Return keys of the papers of a measured method; none where its class names none."""
        known = record.method.citations
        return self.cite(papers_named(record.method.name) if known is None else known)

    def cite_dataset(self, record: Record) -> list[str]:
        """Return the key of the dataset's paper; none where it is not known."""
        name, known = record.dataset.name, record.dataset.citation
        if known is None and name in registry.BUILT_IN["datasets"]:  # a record from before schema 6
            known = registry.load("datasets", name).citation
        return [] if known is None else self.cite([known])

    def cite_published(self, method: str) -> list[str]:
        """Return keys of the papers of a method as published tables write it; none where they are not known here."""
        return self.cite(papers_named(method))

    def cite_source(self, source: str) -> str:
        """Return the key of the place where a number was read, e.g. `github:TaatiTeam/STARS/README.md`."""
        stem = re.sub(r"[^A-Za-z0-9]+", "-", source.removeprefix("github:")).strip("-")[:48].strip("-") or "source"
        return self._add(stem, partial(_source, source))

    def _add(self, stem: str, entry: Callable[[str], str]) -> str:
        key, number = stem, 1
        while entry(key) != self.entries.setdefault(key, entry(key)):
            number += 1
            key = f"{stem}-{number}"
        return key

    @property
    def text(self) -> str:
        """The .bib file."""
        return "\n".join(self.entries.values())


def papers_named(method: str) -> tuple[Citation, ...]:
    """Return the papers of a method, by its name alone.

    Args:
        method: As this package or published tables write it, in any case.
    """
    name = method.casefold()
    return tuple(paper for one in _same_paper().get(name, (name,)) for paper in _papers_of(one))


def _papers_of(name: str) -> tuple[Citation, ...]:
    if name in (papers := _only_published()):
        return (papers[name],)
    if name not in registry.BUILT_IN["methods"]:
        return ()
    return registry.fact("methods", name, "citations") or ()


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(files("stars_bench.report").joinpath("bibliography.toml").read_text(encoding="utf-8"))


def _same_paper() -> dict[str, tuple[str, ...]]:
    others = {name: [other] if isinstance(other, str) else other for name, other in _file()["same_paper"].items()}
    return {name.casefold(): tuple(map(str.casefold, names)) for name, names in others.items()}


@cache
def _only_published() -> dict[str, Citation]:
    return {name.casefold(): Citation(**entry) for name, entry in _file()["paper"].items()}


def _article(paper: Citation, key: str) -> str:
    place = {"inproceedings": "booktitle", "article": "journal", "misc": "howpublished"}[paper.kind]
    fields = {
        "author": escape(paper.authors),
        "title": f"{{{escape(paper.title)}}}",
        place: escape(paper.venue),
        "year": str(paper.year or ""),
        "doi": escape(paper.doi),
        "url": escape(paper.url),
        "note": f"arXiv:{escape(paper.arxiv)}" if paper.arxiv else "",
    }
    return _entry(paper.kind, key, {name: value for name, value in fields.items() if value})


def _source(source: str, key: str) -> str:
    where = source.removeprefix("github:")
    told = f"github.com/{where}" if where != source else source
    return _entry("misc", key, {"key": key, "title": "{Results}", "howpublished": escape(told, breakable=True)})


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"
