"""The page: one file that asks for nothing, where no name becomes markup; its script is tried in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import UsageError
from stars_bench.io.files import write_json
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import read_records, write_record
from stars_bench.report.html_data import MapPoints
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.viewer.scene import layout, packed
from stars_bench.viewer.thumbnails import KeptSkeletons
from tests.browser import needs_chromium, use

HOSTILE = "</script><script>document.title='run'</script><b onclick=x>&amp;"
VOID = {"meta", "input"}
LICENCE = "not to be handed on <i>"
BODY = np.linspace(0, 1, 75).reshape(25, 3)


class Parsed(HTMLParser):
    """Tags and attributes of a page; `open` ends empty when all tags are closed in order. `texts` by tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    @property
    def data(self) -> dict[str, list[dict[str, object]]]:
        """The JSON in the page."""
        (text,) = [text for tag, text in self.texts if tag == "script" and text.startswith("{")]
        return dict(json.loads(text))


@pytest.fixture
def runs(make_record: Callable[..., Record], tmp_path: Path) -> Path:
    """Two methods, one of a hostile name, with logs, predictions, a map and few-shot results beside the records."""
    stage = {
        "name": "stage1",
        "seconds": 1,
        "samples": 9,
        "peak_bytes": None,
        "checkpoint_digest": "c",
        "reused": False,
    }
    for place, method in enumerate(("mamp", HOSTILE)):
        folder = RunFolder.of(tmp_path, "ntu60", "xsub", f"method{place}", "key", 0)
        stages = [stage | {"key": f"{place}" * 64}]
        record = make_record(50.0 + place, method__name=method, per_class=[50.0] * 60, stages=stages)
        path = write_record(folder, record)
        file = folder.path / record.predictions.file
        file.parent.mkdir()
        np.savez(file, labels=np.array([0, 0, 1]), predictions=np.array([0, 1, 1]))
        log = [{"stage": "stage1", "epoch": n, "step": n, "loss": 3.0 - n, "key": f"{place}" * 16} for n in (1, 2)]
        folder.log.write_text("".join(json.dumps(line) + "\n" for line in log))
        names = [f"clip{n}" for n in range(3)]
        points = MapPoints(
            title=method, caption="", points=[(0, 0), (1, 1), (2, 0)], names=names, labels=[0, 0, 1], classes=["a", "b"]
        )
        write_json(folder.map_file(path), points.model_dump())
        clips = {name: packed(np.full((1, 5, 25, 3), n, np.float32) + BODY, 8) for n, name in enumerate(names[:2])}
        kept = KeptSkeletons(dataset="ntu60", digest="data", licence=LICENCE, layout=layout(KINECT_V2), clips=clips)
        write_json(folder.skeleton_file(path), kept.model_dump())
        for shots in (1, 5):
            settings = {"ways": 5, "shots": shots}
            few = {"evaluation__name": "fewshot", "evaluation__settings": settings}
            write_record(folder, make_record(60.0 + shots, method__name=method, stages=stages, **few))
    return tmp_path


def page_of(runs: Path, skeletons: bool = False) -> str:
    """The page of all records."""
    stored = read_records(runs)
    return Leaderboard.of(stored.stored).to_html(skeletons=skeletons)


@pytest.fixture
def page(runs: Path) -> str:
    """The page without skeletons."""
    return page_of(runs)


def test_it_is_one_sound_file_that_asks_for_nothing(page: str) -> None:
    parsed = Parsed(page)
    assert not parsed.open
    assert not [attributes for _, attributes in parsed.tags if attributes.keys() & {"src", "href", "action", "srcset"}]
    assert "url(" not in page
    assert "@import" not in page
    (policy,) = [a["content"] for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_no_name_becomes_markup(page: str) -> None:
    parsed = Parsed(page)
    assert [tag for tag, _ in parsed.tags].count("script") == 2
    assert "b" not in [tag for tag, attributes in parsed.tags if attributes]
    assert ("th", HOSTILE) in [(tag, text) for tag, text in parsed.texts if tag == "th"]
    assert parsed.data["maps"][1]["title"] == HOSTILE


def test_every_number_says_where_it_comes_from(page: str) -> None:
    parsed = Parsed(page)
    cells = parsed.data["cells"]
    numbers = [int(a["data-cell"] or "") for tag, a in parsed.tags if tag == "button" and "data-cell" in a]
    assert sorted(numbers) == list(range(len(cells)))
    for number, text in re.findall(r'data-cell="(\d+)">([^<]*)</button>', page):
        assert str(cells[int(number)]["title"]).endswith(f": {text}")
    told = [dict(records[0]) for cell in cells if isinstance(records := cell["records"], list)]  # type: ignore[arg-type]
    measured = [one for one in told if "command" in one]
    assert len(measured) == 6
    assert {"command", "commit", "data", "seed", "environment"} <= measured[0].keys()
    (mamp,) = [one for one in told if "read in" in one]
    assert (mamp["published"], mamp["source"]) == ("62 % as MAMP", "second-hand: another publication quotes it")
    assert (mamp["year"], mamp["backbone"], mamp["streams"], mamp["table"]) == (
        "2023", "ViT (8 layers, d256)", "J", "not known"
    )  # fmt: skip


def test_what_lies_beside_the_records_is_shown(page: str) -> None:
    data = Parsed(page).data
    assert [one["counts"] for one in data["confusions"]] == [[0, 0, 1, 0, 1, 1, 1, 1, 1]] * 2
    assert [(curve["epochs"], curve["values"]) for curve in data["curves"]] == [([1, 2], {"loss": [2.0, 1.0]})] * 2
    assert [[point[:2] for point in one["points"]] for one in data["shots"]] == [[[1, 61.0], [5, 65.0]]] * 2  # type: ignore[attr-defined]
    assert data["maps"][0]["names"] == ["clip0", "clip1", "clip2"]


def test_without_predictions_classes_come_from_the_record(make_record: Callable[..., Record]) -> None:
    records = [make_record(per_class=[25.0, None]), make_record(seed=1, per_class=[75.0, None])]
    page = Leaderboard.of(records, published="none").to_html()
    assert [one["perClass"] for one in Parsed(page).data["confusions"]] == [[50.0, None]]


def test_skeletons_are_in_the_page_only_when_they_are_asked_for(page: str, runs: Path) -> None:
    assert Parsed(page).data["skeletons"] == {}
    assert LICENCE.removesuffix(" <i>") not in page
    asked = page_of(runs, skeletons=True)
    parsed = Parsed(asked)
    assert set(parsed.data["skeletons"]["data"]["clips"]) == {"clip0", "clip1"}  # type: ignore[call-overload]
    assert any(LICENCE in text for _, text in parsed.texts)
    assert parsed.data["maps"][0]["data"] == "data"


def test_skeletons_that_nobody_kept_are_an_error(make_record: Callable[..., Record]) -> None:
    with pytest.raises(UsageError, match="stars-bench map RUN"):
        Leaderboard.of([make_record()], published="none").to_html(skeletons=True)


TRIAL = """
const shown = () => [...document.querySelectorAll(".measured tr")].filter((row) => !row.hidden);
const rows = () => shown().map((row) => row.cells[2].textContent);
const sort = document.querySelectorAll("thead button")[2];
sort.click(); out.push(rows()); sort.click(); out.push(rows());
const search = document.querySelector("input[type=search]");
search.value = "mam"; search.dispatchEvent(new Event("input")); out.push(rows());
document.querySelector(".measured .cell").click();
out.push([dialog.open, dialog.querySelectorAll("dt").length > 8]);
document.querySelector("#maps circle").dispatchEvent(new PointerEvent("pointerenter"));
out.push(document.querySelector("#maps .told").textContent);
document.querySelector("#maps svg").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
out.push(document.querySelector("#maps .told").textContent);
out.push(["curves", "confusions", "maps", "shots"].map((name) => document.querySelectorAll(`#${name} svg`).length));
out.push(document.querySelector("#maps .stage") === null);
document.getElementById("theme").click(); out.push(document.documentElement.dataset.theme !== undefined);
out.push(document.title);
"""

PLAYS = """
const canvas = document.querySelector("#maps .stage canvas");
const told = () => document.querySelector("#maps .stage figcaption").textContent;
const dots = document.querySelectorAll("#maps circle");
const place = () => dots[2].getBoundingClientRect().x;
const before = place();
dots[0].dispatchEvent(new PointerEvent("pointerenter"));
out.push(told(), place() === before);                     // nothing moves away from the pointer
await wait(200);
const first = canvas.toDataURL();
dots[1].dispatchEvent(new MouseEvent("click"));
out.push(told());
await wait(200);
const second = canvas.toDataURL();
canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
out.push(first.length > 8000, second.length > 8000, canvas.toDataURL() !== second);
document.querySelector("#maps svg").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
await wait(100);
out.push(told(), canvas.toDataURL().length < 100);
"""


@needs_chromium
def test_in_a_browser_it_sorts_filters_and_tells(page: str, tmp_path: Path) -> None:
    assert use(page, TRIAL, tmp_path) == [
        ["51.0", "50.0"],
        ["50.0", "51.0"],
        ["50.0"],
        [True, True],
        "clip0: 1 a",
        "clip1: 1 a",
        [1, 1, 1, 1],
        True,
        True,
        "stars-bench report",
    ]


@needs_chromium
def test_in_a_browser_a_dot_plays_its_clip(runs: Path, tmp_path: Path) -> None:
    # The third clip's skeleton was not kept: it is only named.
    shown = use(page_of(runs, skeletons=True), PLAYS, tmp_path)
    assert shown == ["clip0", True, "clip1", True, True, True, "clip2: no skeleton was kept", True]
