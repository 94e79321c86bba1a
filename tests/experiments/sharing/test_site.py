"""The table of packs, and a site of them: verified entries alone, nothing of this machine, no request that leaves."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from stars_bench import cli
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.sharing.gathered import gathered
from stars_bench.experiments.sharing.pack import pack
from stars_bench.experiments.sharing.site import site
from stars_bench.records import store
from stars_bench.records.record import content_digest
from tests.browser import needs_chromium, use

pytest.importorskip("safetensors")


@pytest.fixture(scope="session")
def made(packed: Path, small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the pack."""
    out = tmp_path_factory.mktemp("www") / "site"
    report = site([packed], out, small_data)
    assert report.left_out == ()
    assert len(report.entries) == 2
    return out


def links(page: Path) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page.read_text())


def test_every_link_leads_to_a_file_of_the_site(made: Path) -> None:
    pages = list(made.rglob("*.html"))
    assert len(pages) == 3
    for page in pages:
        for link in links(page):
            target, _, part = link.partition("#")
            assert not re.match(r"\w+:|//", link), f"{page.name}: {link} leaves the site"
            file = (page.parent / target).resolve() if target else page
            assert file.is_relative_to(made)
            assert file.exists(), f"{page.name}: {link}"
            assert not part or f'id="{part}"' in file.read_text()


def test_nothing_in_it_names_a_place_of_this_machine(made: Path, shared_runs: Path) -> None:
    for file in made.rglob("*.*"):
        data = file.read_bytes()
        for text in (str(shared_runs.parent), "alice", "stars-bench-site-", str(made)):
            assert text.encode() not in data, f"{text} in {file}"


def test_the_leaderboard_has_the_numbers_and_a_run_its_settings_command_and_curves(made: Path, packed: Path) -> None:
    index = (made / "index.html").read_text()
    with gathered([packed]) as found:
        records = [one.record for one in found.records().stored]
    assert all(f"{record.method.name}, changed quick" in index for record in records)
    (mamp,) = (made / "runs").glob("synthetic-xsub-mamp-*.html")
    text = mamp.read_text()
    assert "stars-bench run mamp --runs-dir runs" in text
    top1 = next(one for one in records if one.method.name == "mamp").metrics[0].value
    assert f"{top1:.2f}" in text
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])  # type: ignore[index]
    assert {curve["quantity"] for curve in data["curves"][0]} >= {"loss", "lr"}
    assert "verified: " in text
    assert "checkpoints of stages: a pack has none" in text
    assert (made / "leaderboard.csv").read_text().startswith("kind,dataset,")


def test_what_is_downloaded_is_a_pack_of_that_run(made: Path) -> None:
    files = sorted((made / "packs").glob("*.zip"))
    assert len(files) == 2
    with gathered(files) as found:
        assert {one.record.method.name for one in found.records().stored} == {"mamp", "untrained"}


def edited(packed: Path, out: Path) -> tuple[Path, float]:
    """A pack one of whose records has another number, with all checksums of record and manifest made again."""
    from tests.experiments.sharing.test_unpack import content, written

    files = content(packed)
    name = next(name for name in files if "/mamp/" in name and "seed1/records/knn" in name)
    record = json.loads(files[name])
    number = record["metrics"][0]
    number["value"] = round((number["interval"][0] + number["value"]) / 2 - 0.01, 2)
    record["self_digest"] = content_digest(record)
    files[name] = json.dumps(record).encode()
    return written(files, out), number["value"]


def test_an_entry_that_does_not_verify_is_listed_with_the_reason_and_none_of_its_numbers_shown(
    packed: Path, small_data: Path, tmp_path: Path
) -> None:
    other, number = edited(packed, tmp_path / "other.zip")
    (tmp_path / "broken.zip").write_bytes(b"x")
    report = site([other, tmp_path / "broken.zip"], tmp_path / "site", small_data)
    broken, faked = sorted(report.left_out, key=len)
    assert broken.startswith("broken.zip: no pack that can be read")
    assert re.match(
        rf"synthetic/xsub/mamp/\w+/seed1: records/knn\S+: top1 is \d+\.\d+ % over \d+, recorded {number:.4f}", faked
    )
    index = (tmp_path / "site" / "index.html").read_text()
    assert faked.partition(": ")[0] in index
    assert "Left out" in index
    assert [entry.seeds for entry in report.entries] == ["0", "0"], "seed 0 of mamp is sound, and untrained"
    for page in (tmp_path / "site").rglob("*.html"):
        assert f"{number:.2f}" not in page.read_text().replace(f"recorded {number:.4f}", "")


def test_nothing_that_can_be_shown_is_an_error_and_writes_nothing(small_data: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"x")
    with pytest.raises(StarsBenchError, match=r"nothing to show: of 1 entries none could be verified: broken\.zip"):
        site([tmp_path], tmp_path / "site", small_data)
    assert not (tmp_path / "site").exists()
    with pytest.raises(UsageError, match="there is no such folder of runs, and no such pack"):
        site([tmp_path / "nothing"], tmp_path / "site", small_data)


def test_a_site_replaces_its_own_pages_and_nothing_else(packed: Path, small_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "www"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else than a site of stars-bench report; --force"):
        site([packed], out, small_data)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    site([packed], out, small_data, overwrite=True)
    (out / "runs" / "old.html").write_text("stale")
    site([packed], out, small_data)
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "runs" / "old.html").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr("sys.argv", ["stars-bench", *map(str, words)])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return int(done.value.code or 0)


def test_report_takes_packs_and_folders_and_counts_each_record_once(
    packed: Path, shared_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with gathered([packed, shared_runs, packed.parent]) as found:
        together = found.records()
    assert len(together.stored) == len(store.read_records(shared_runs).stored)
    assert together.warnings == []
    assert command(monkeypatch, "report", packed, "--format", "csv") == 0
    of_pack = capsys.readouterr().out
    assert command(monkeypatch, "report", "--runs-dir", shared_runs, "--format", "csv") == 0
    of_runs = capsys.readouterr().out
    paths = r"stars-bench run [^,]*"
    assert re.sub(paths, "", of_pack) == re.sub(paths, "", of_runs)
    assert command(monkeypatch, "report", tmp_path / "nothing.zip") == 2
    assert "no such pack" in capsys.readouterr().err


def test_other_numbers_of_the_same_run_are_told(packed: Path, shared_runs: Path, tmp_path: Path) -> None:
    other, number = edited(packed, tmp_path / "other.zip")
    with gathered([shared_runs, other]) as found:
        together = found.records()
    (line,) = together.warnings
    assert re.search(r"seed1/records/knn\S+: has other numbers than .*, which is shown", line)
    assert number not in [metric.value for one in together.stored for metric in one.metrics]


def test_the_commands_say_what_they_did(
    shared_runs: Path,
    small_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "results.zip"
    assert command(monkeypatch, "pack", shared_runs / "synthetic", "--out", out) == 0
    said = capsys.readouterr().out
    assert re.search(r"\d+ records: paths of this machine in the command or remarks are shortened", said)
    assert re.search(r"results\.zip: 3 seeds, \d+ records, 3 encoders, \d", " ".join(said.split()))
    assert command(monkeypatch, "unpack", out, "--runs-dir", tmp_path / "runs") == 0
    assert command(monkeypatch, "verify", tmp_path / "runs", "--data-dir", small_data) == 0
    words = ("report", out, "--format", "site", "--out", tmp_path / "site", "--data-dir", small_data)
    assert command(monkeypatch, *words) == 0
    assert "index.html (2 runs, 0 entries left out)" in " ".join(capsys.readouterr().out.split())
    assert command(monkeypatch, "report", out, "--format", "site") == 2
    assert "--format site: name its folder: --out DIR" in capsys.readouterr().err


def test_a_run_that_cannot_be_packed_is_left_out(shared_runs: Path, small_data: Path, tmp_path: Path) -> None:
    runs = shutil.copytree(shared_runs, tmp_path / "runs")
    file = next(runs.glob("synthetic/xsub/mamp/*/seed1/records/knn*.json"))
    file.write_text(file.read_text().replace('"seconds": ', '"seconds": 1', 1))
    report = site([runs], tmp_path / "site", small_data)
    (line,) = report.left_out
    assert "was edited after it was written" in line
    assert str(tmp_path) not in line
    assert len(report.entries) == 2


def test_a_stranger_names_no_code_and_no_markup(packed: Path, small_data: Path, tmp_path: Path) -> None:
    """Names of a record become text; its method is not imported because a pack says so."""
    from tests.experiments.sharing.test_unpack import content, written

    files = content(packed)
    hostile = {}
    for name, data in files.items():
        if "/untrained/" in name and "/records/" in name:
            record = json.loads(data)
            record["method"]["target"] = "antigravity:Method"
            record["command"] = "<script>alert(1)</script>"
            record["self_digest"] = content_digest(record)
            data = json.dumps(record).encode()
        hostile[name] = data
    report = site([written(hostile, tmp_path / "x.zip")], tmp_path / "site", small_data)
    assert any("untrained" in line for line in report.left_out)
    for page in (tmp_path / "site").rglob("*.html"):
        assert "<script>alert" not in page.read_text()


def test_the_pages_say_what_wrote_them_and_let_nothing_load(made: Path) -> None:
    for page in made.rglob("*.html"):
        text = page.read_text()
        assert 'content="written by stars-bench report' in text
        assert "default-src 'none'" in text


@needs_chromium
@pytest.mark.slow
def test_pages_work_in_a_browser(made: Path, tmp_path: Path) -> None:
    index = use(
        (made / "index.html").read_text(), "out.push(document.querySelectorAll('#runs tbody tr').length);", tmp_path
    )
    assert index == [2]
    page = next((made / "runs").glob("*mamp*.html")).read_text()
    assert use(page, "out.push(document.querySelectorAll('svg polyline').length > 0);", tmp_path) == [True]


def test_packs_of_a_site_are_read_as_any(made: Path) -> None:
    for file in (made / "packs").iterdir():
        with zipfile.ZipFile(file) as archive:
            assert archive.namelist()[0] == "pack.json"


def test_only_whole_runs_of_one_pack_per_file(shared_runs: Path, tmp_path: Path) -> None:
    """The pack of a run's folder has all its seeds."""
    (run,) = shared_runs.glob("synthetic/xsub/mamp/*")
    assert [Path(name).name for name in pack([run], tmp_path / "run.zip").runs] == ["seed0", "seed1"]
