"""An inspection as one self-contained HTML file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stars_bench.display.blocks import Curves, Inspection
from stars_bench.display.document import SHARED, document


def to_html(inspection: Inspection) -> str:
    """Return the page; facts and tables work without JavaScript, which only draws curves."""
    data, shown = context(inspection)
    return document("inspect", SHARED, "inspection.html", ("inspection.js",), data, **shown)


def context(inspection: Inspection) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what inspection.js draws, and what inspection.html, or a template that extends it, shows."""
    curves = [[asdict(curve) for curve in block.curves] for block in inspection.blocks if isinstance(block, Curves)]
    kinds = [type(block).__name__ for block in inspection.blocks]
    blocks = list(zip(kinds, inspection.blocks, strict=True))
    return {"curves": curves}, {"title": inspection.title, "subtitle": inspection.subtitle, "blocks": blocks}
