"""The footnotes of a table: a sign each, in the order in which they are first needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from stars_bench.report.results.published import SECOND_HAND
from stars_bench.report.table import Footnote

SIGNS = "*†‡§¶‖△◇☆•"
"""Signs in the order in which papers take them; from the eleventh footnote on they are doubled."""
SECOND_HAND_SIGN = "°"


@dataclass
class Footnotes:
    """Signs by text.

    Attributes:
        marks: Why numbers need a footnote.
        sources: Where published numbers were read.
    """

    marks: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def mark(self, reasons: Iterable[str]) -> str:
        """Return the signs of these reasons."""
        signs = ""
        for reason in reasons:
            place = len(self.marks) - (SECOND_HAND in self.marks)
            signs += self.marks.setdefault(reason, SIGNS[place % len(SIGNS)] * (1 + place // len(SIGNS)))
        return signs

    def second_hand(self) -> str:
        """Return the sign of numbers that others quote."""
        return self.marks.setdefault(SECOND_HAND, SECOND_HAND_SIGN)

    def source(self, text: str) -> str:
        """Return the number of this source."""
        return self.sources.setdefault(text, f"[{len(self.sources) + 1}]")

    def of_marks(self) -> tuple[Footnote, ...]:
        """Return the footnotes of marks."""
        return tuple(Footnote(sign, text) for text, sign in self.marks.items())

    def of_sources(self) -> tuple[Footnote, ...]:
        """Return the footnotes of sources."""
        return tuple(Footnote(sign, text) for text, sign in self.sources.items())
