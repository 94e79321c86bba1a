"""Tables as tidy lines: every number with its provenance, and no cell that runs in a spreadsheet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pandas as pd
import pytest

from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard


def test_csv_has_every_number_with_its_provenance(quick_records: list[Record]) -> None:
    frame = pd.read_csv(io.StringIO(Leaderboard.of(quick_records).to_csv()))
    ours = frame[(frame["kind"] == "measured") & (frame["method"] == "stars") & (frame["evaluation"] == "linear")]
    main, best = ours.to_dict("records")
    assert (main["metric"], main["value"], main["std"], main["seeds"], main["clips"]) == ("top1", 61.0, 1.0, 3, 16487)
    assert (best["metric"], best["value"]) == ("top1_best_epoch_on_test", 70.0)
    assert main["marks"] == "quick preset; partial data (1,024 of 56,578 clips)"
    theirs = frame[(frame["kind"] == "authors") & (frame["method"] == "STARS") & (frame["evaluation"] == "knn")]
    (number,) = theirs.to_dict("records")
    assert (number["value"], number["source"]) == (79.9, "github:TaatiTeam/STARS/README.md")
    assert (number["year"], number["backbone"], number["streams"]) == (2024, "ViT (8 layers, d256)", "J")
    assert json.loads(number["settings"]) == {"k": 1}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\uff1d1+1"])
def test_csv_text_is_never_a_formula_and_numbers_stay_numbers(make_record: Callable[..., Record], name: str) -> None:
    records = [make_record(0.5, method__name=name, metrics=[_below_zero(), _top1()])]
    text = Leaderboard.of(records, published="none").to_csv()
    frame = pd.read_csv(io.StringIO(text))
    assert set(frame["method"]) == {f"'{name}"}
    assert list(frame["value"]) == [-0.25, 50.0]


def _top1() -> dict[str, object]:
    return {"name": "top1", "value": 50.0, "unit": "%", "n": 10}


def _below_zero() -> dict[str, object]:
    return {"name": "silhouette", "value": -0.25, "unit": "", "n": 10}


def test_a_frame_has_the_lines_with_names_as_they_are(make_record: Callable[..., Record]) -> None:
    clusters = {"evaluation__name": "clusters", "evaluation__settings": {}}
    metrics = [{"name": name, "value": 0.5, "unit": "", "n": 60} for name in ("nmi", "silhouette", "purity")]
    records = [make_record(seed=seed, method__name="=1+1") for seed in (0, 1)]
    frame = Leaderboard.of([*records, make_record(metrics=metrics, **clusters)], published="none").to_frame()
    assert list(frame["method"]) == ["stars", "stars", "stars", "=1+1"]
    assert list(frame["metric"]) == ["nmi", "silhouette", "purity", "top1"]
    assert frame.loc[3, ["value", "seeds", "clips"]].tolist() == [80.0, 2, 16487]
    assert str(frame["seeds"].dtype) == "Int64"


def test_no_tables_are_a_heading_alone() -> None:
    assert Leaderboard.of([]).to_csv().count("\n") == 1
