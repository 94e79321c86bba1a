"""Every command with an output keeps the rule: `a thesis` at its place stays, and is replaced by --force."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stars_bench.cli import app
from stars_bench.errors import UsageError
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import write_record

THESIS = "a thesis"
OUTPUTS = {
    "report .tex": (("report", "--out", "table.tex"), "table.tex"),
    "report .bib": (("report", "--out", "table.tex"), "table.bib"),
    "report .md": (("report", "--out", "table.md"), "table.md"),
    "report .csv": (("report", "--out", "table.csv"), "table.csv"),
    "report .html": (("report", "--out", "page.html"), "page.html"),
    "map .png": (("map", "RUN", "--out", "map"), "map.png"),
    "map .svg": (("map", "RUN", "--out", "map"), "map.svg"),
    "inspect": (("inspect", "synthetic", "--html", "page.html"), "page.html"),
    "view": (("view", "synthetic", "0", "--out", "page.html"), "page.html"),
    "export": (("export", "synthetic", "--format", "pyskl", "--out", "clips.pkl"), "clips.pkl"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_file_of_something_else_stays(
    name: str, small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_record: Callable[..., Record]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_record(RunFolder.of(tmp_path / "runs", "ntu60", "xsub", "stars", "key", 0), make_record())
    words, file = OUTPUTS[name]
    Path(file).write_text(THESIS, encoding="utf-8")
    where = {"report": ["--runs-dir", "runs"], "map": []}.get(words[0], ["--data-dir", str(small_data)])
    command = [*(str(tmp_path / "runs") if word == "RUN" else word for word in words), *where]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, UsageError)
    assert "--force replaces it" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [file]
    assert Path(file).read_text(encoding="utf-8") == THESIS
    if words[0] != "map":  # needs features
        assert CliRunner().invoke(app, [*command, "--force"]).exception is None
        assert THESIS.encode() not in Path(file).read_bytes()
