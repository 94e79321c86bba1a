"""The console of the command line: names and file contents are shown, and never obeyed by the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed (an escape may recolour, retitle or overwrite), and those that turn the
direction of text (arXiv:2111.00169)."""


def shown(text: str) -> str:
    """Return a text with a replacement character for each character that a terminal would obey.

    Args:
        text: of any origin.
    """
    return OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)


class CarefulConsole(Console):
    """A console that shows a replacement character for each character that a terminal would obey."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces that are printed; rich's own control codes are not text and stay."""
        for segment in super().render(renderable, options):
            if segment.control is None and OBEYED.search(segment.text):
                yield Segment(shown(segment.text), segment.style)
            else:
                yield segment
