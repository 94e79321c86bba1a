"""Output to streams of any encoding, closed ones and broken pipes, with any COLUMNS and no working folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stars_bench.display import streams
from tests.paths import ROOT

ENCODINGS = ("cp1252", "gbk", "shift_jis", "latin-1", "ascii")
PRINTED = "✓✗█·–—…²†‡±▁▂▃▄▅▆▇•━╸╺ 深い 🦴 \ud800"


def run(*words: str, stdout: int | None = subprocess.PIPE, **variables: str) -> subprocess.CompletedProcess[str]:
    """Exit code and output of a command."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [*words, "-m", "stars_bench", "list", "methods"] if words else [sys.executable, "-m", "stars_bench", "doctor"],
        env=os.environ | {"PYTHONPATH": path} | variables,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="latin-1",
        check=False,
    )


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-8"])
def test_what_an_encoding_lacks_is_printed_by_something_else(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding))
    streams.make_usable()
    print(PRINTED)
    sys.stdout.flush()
    told = written.getvalue().decode(encoding).rstrip()
    assert told.endswith("?")
    assert encoding != "utf-8" or told == PRINTED[:-1] + "?"
    assert encoding != "ascii" or (told.startswith("+x#---.2'\"+-_.,-=+*") and told.isascii())


def test_doctor_prints_its_marks_in_ascii() -> None:
    done = run(PYTHONIOENCODING="ascii")
    assert done.returncode in (0, 1), done.stderr
    assert "UnicodeEncodeError" not in done.stderr
    assert done.stdout.startswith("+ OK ")


@pytest.mark.parametrize("columns", ["0", "-7", "wide", "1000000000", "9" * 5000])
def test_an_absurd_width_is_forgotten(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    streams.make_usable()
    assert "COLUMNS" not in os.environ
    monkeypatch.setenv("COLUMNS", "132")
    streams.make_usable()
    assert os.environ["COLUMNS"] == "132"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize(
    ("before", "code", "told"),
    [
        ('exec "$@" >&-', 0, ""),
        ('exec "$@" >&- 2>&- <&-', 0, ""),
        ('"$@" | true; exit ${PIPESTATUS[0]}', 1, ""),
        ('mkdir gone && cd gone && rmdir ../gone && exec "$@"', 2, "error: the working folder cannot be used (No such"),
    ],
)
def test_streams_that_are_closed_and_a_folder_that_is_gone(
    before: str, code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("bash", "-c", before, "bash", sys.executable, "-OO")
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == bool(told)
