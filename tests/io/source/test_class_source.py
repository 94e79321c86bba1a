"""Facts of a class are read from its source: literals, also imported ones, and nothing is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stars_bench.api import Citation
from stars_bench.io.source import class_source

PAPERS = """
from stars_bench.api import Citation
PAPER = Citation("doe2026", title="A Title", year=2026)
"""
METHOD = '''
raise SystemExit("imported")
from facts_papers import PAPER as OURS
OTHER: Citation = Citation("roe2026", "Another")

class Base:
    kept = "by the base"

class Mine(Base):
    """What it is.

    More of it.
    """
    source: str = "a paper"
    citations = (OURS, OTHER)
    computed = tuple(x for x in ())
    wrong = Citation("a b", "no key")
    itself = itself
'''


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "facts_papers.py").write_text(PAPERS)
    (tmp_path / "facts_method.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)


def test_facts_are_read_without_importing() -> None:
    target = "facts_method:Mine"
    assert class_source.summary(target) == "What it is."
    assert class_source.fact(target, "source") == "a paper"
    expected = (Citation("doe2026", "A Title", year=2026), Citation("roe2026", "Another"))
    assert class_source.fact(target, "citations") == expected
    assert "facts_method" not in sys.modules


@pytest.mark.parametrize("attribute", ["computed", "wrong", "kept", "absent", "itself"])
def test_what_is_no_literal_of_the_class_is_none(attribute: str) -> None:
    assert class_source.fact("facts_method:Mine", attribute) is None


@pytest.mark.parametrize("target", ["facts_method:Other", "no_such_module:X", "sys:X", "no.such.package:X"])
def test_a_class_that_cannot_be_read_has_no_facts(target: str) -> None:
    assert (class_source.summary(target), class_source.fact(target, "source")) == ("", None)
