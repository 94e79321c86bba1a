"""A static site of results: a leaderboard, and a page for each run with settings, command, numbers and curves.

Pages need nothing else: no request leaves them, and their tables read without JavaScript. What is verified, and from
which files, is decided elsewhere (`experiments/sharing/site.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stars_bench.display.blocks import Inspection
from stars_bench.display.document import document
from stars_bench.display.inspection import context
from stars_bench.report import html
from stars_bench.report.table import Table

COMMAND = "report"


@dataclass(frozen=True)
class Entry:
    """One run of the site, with all its seeds.

    Args:
        name: Name of its files, such as `ntu60-xsub-stars-0123456789`.
        title: The method and its preset.
        data: Dataset, protocol and stream.
        seeds: Its seeds.
        verified: What was looked at.
        megabytes: Size of its pack.
    """

    name: str
    title: str
    data: str
    seeds: str
    verified: str
    megabytes: float

    @property
    def page(self) -> str:
        """Its page, from the folder of the site."""
        return f"runs/{self.name}.html"

    @property
    def file(self) -> str:
        """Name of its pack."""
        return f"{self.name}.zip"

    @property
    def pack(self) -> str:
        """Its pack, from the folder of the site."""
        return f"packs/{self.file}"

    @property
    def size(self) -> str:
        """Size of its pack in words."""
        return f"{self.megabytes:,.1f} MB"


def index_page(title: str, tables: Sequence[Table], entries: Sequence[Entry], left_out: Sequence[str]) -> str:
    """Return the page with the leaderboard.

    Args:
        title: Heading of the site.
        tables: The leaderboard.
        entries: The runs.
        left_out: One line for each entry that is not shown: which, and why.
    """
    return html.page(tables, "site.html", title=title, entries=entries, left_out=left_out)


def run_page(site: str, entry: Entry, inspection: Inspection) -> str:
    """Return the page of a run.

    Args:
        site: Heading of the site.
        entry: The run.
        inspection: What the page says of it.
    """
    data, shown = context(inspection)
    return document(COMMAND, html.FOLDER, "run.html", ("inspection.js",), data, site=site, entry=entry, **shown)
