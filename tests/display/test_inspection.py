"""Inspections on a terminal and as a page: the same strings, 80 columns, and no text that becomes markup."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from stars_bench.display import blocks_terminal, inspection
from stars_bench.display.blocks import Bars, Curve, Curves, Facts, Inspection, Notes, Table
from tests.browser import needs_chromium, use

HOSTILE = "</script><script>document.title='run'</script>[bold]&amp;"


@pytest.fixture
def everything() -> Inspection:
    """One block of each kind, with hostile texts."""
    loss = Curve("seed0", "stage1", "loss", (1, 2, 3), (3.0, None, 1.0))
    rate = Curve("seed0", "stage1", "lr", (1, 2, 3), (0.1, 0.2, 0.3))
    return Inspection(
        HOSTILE,
        "a subtitle",
        (
            Facts({"name": HOSTILE, "clips": "3 (partial)"}, "Facts"),
            Table("Rows", ("clip", "frames"), ((HOSTILE, "12"), ("b", "7")), ("clip",)),
            Bars("Few", (("one", 3), (HOSTILE, 6))),
            Bars("Many", tuple((f"class {n}", n) for n in range(20)), "in one line"),
            Curves("Curves", (loss, rate)),
            Notes((HOSTILE,), "warning"),
            Notes(("dropped: 3",), "list"),
        ),
    )


def printed(found: Inspection, all_bars: bool = False) -> str:
    """What an 80-column terminal shows."""
    console = Console(width=80)
    with console.capture() as capture:
        console.print(blocks_terminal.to_rich(found, all_bars))
    return capture.get()


def test_the_terminal_shows_texts_as_they_are_in_80_columns(everything: Inspection) -> None:
    text = printed(everything)
    assert max(map(len, text.splitlines())) <= 80
    assert f"warning: {HOSTILE}" in text
    assert re.search(r"stage1 seed0 +loss +3 +1 +3 +█▁", text)
    assert re.search(r"^one +3 +█{12} *$", text, re.MULTILINE)


def test_many_bars_are_one_line_until_all_are_asked_for(everything: Inspection) -> None:
    assert "Many in one line" in printed(everything)
    assert "class 19" not in printed(everything)
    assert re.search(r"class 19 +19 +█{24}", printed(everything, all_bars=True))


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert blocks_terminal.sparkline([0, 7]) == "▁█"
    assert blocks_terminal.sparkline([5, 10], lowest=0) == "▅█"
    assert blocks_terminal.sparkline([4, 4, 4]) == "▁▁▁"
    assert blocks_terminal.sparkline(range(240), width=8) == "▁▂▃▄▅▆▇█"


def test_the_page_says_what_the_terminal_says_and_no_text_becomes_markup(everything: Inspection) -> None:
    page = inspection.to_html(everything)
    assert page.count("<script") == page.count("</script>") == 2
    assert unescape(page).count(HOSTILE) == 7  # title, heading, fact, row, bar and its label, warning
    for text in ("3 (partial)", "class 19", "dropped: 3", "a subtitle"):
        assert text in page


USED = """
const svg = () => document.querySelector(".of-curves svg");
out.push(svg().getAttribute("aria-label"));
const select = document.querySelector(".of-curves select");
out.push([...select.options].map((one) => one.textContent));
select.value = 1; select.dispatchEvent(new Event("change"));
out.push(svg().getAttribute("aria-label"), document.querySelectorAll("meter").length, document.title.length);
"""


@needs_chromium
def test_in_a_browser_its_curves_are_chosen(everything: Inspection, tmp_path: Path) -> None:
    assert use(inspection.to_html(everything), USED, tmp_path) == [
        "loss over epoch",
        ["stage1: loss", "stage1: lr"],
        "lr over epoch",
        22,
        len(HOSTILE),
    ]


@needs_chromium
def test_in_a_browser_a_wide_table_scrolls_inside_itself_and_the_theme_button_says_what_it_does(tmp_path: Path) -> None:
    header = tuple(f"column {number}" for number in range(60))
    curves = Curves("Curves", tuple(Curve("seed0", "stage " + "1" * 80, name, (1, 2), (3.0, 1.0)) for name in "ab"))
    page = inspection.to_html(Inspection("wide", "", (Table("Wide", header, (tuple("0" * 60),), ()), curves)))
    script = """
    const wide = document.querySelector(".wide"), button = document.getElementById("theme");
    out.push(document.documentElement.scrollWidth <= innerWidth, wide.scrollWidth > wide.clientWidth);
    const main = document.querySelector("main");
    main.style.width = "300px";
    const edge = main.getBoundingClientRect().right + 1;
    const beyond = [...main.querySelectorAll("*")].filter((one) => !one.closest(".wide table, select, svg"));
    out.push(document.querySelector("select") !== null);
    out.push(beyond.filter((one) => one.getBoundingClientRect().right > edge).map((one) => one.outerHTML));
    wide.scrollLeft = 400;
    out.push(wide.scrollLeft);
    for (let click = 0; click < 2; click++) {
      out.push(button.textContent);
      button.click();
      out.push(document.documentElement.dataset.theme);
    }
    out.push(button.textContent);
    """
    shown = use(page, script, tmp_path)
    assert shown == [True, True, True, [], 400, "dark theme", "dark", "light theme", "light", "dark theme"]
