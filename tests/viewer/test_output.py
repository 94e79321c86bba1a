"""`view` on the command line: the files it writes, and those it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stars_bench import cli
from stars_bench.errors import UsageError
from stars_bench.storage.shards import open_dataset
from stars_bench.viewer import output, pictures

View = Callable[..., str]


@pytest.fixture
def view(small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> View:
    """Runs `view synthetic ...` in an empty folder; what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        capsys.readouterr()
        cli.app(["view", "synthetic", *words, "--data-dir", str(small_data)], standalone_mode=False)
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def pair(small_data: Path) -> str:
    """A clip of two bodies."""
    table = open_dataset(small_data, "synthetic").table
    return str(table["name"][table["num_bodies"] == 2].iat[0])


def coloured(picture: Image.Image, body: int) -> int:
    """Pixels in the full colour of a body."""
    wanted = np.array([int(pictures.BODY_COLOURS[body][at : at + 2], 16) for at in (1, 3, 5)])
    return int((np.abs(np.asarray(picture.convert("RGB")).astype(int) - wanted).max(axis=2) < 8).sum())


def test_a_clip_is_a_page_of_its_name(view: View, pair: str) -> None:
    assert view(pair) == f"written: {pair}.html\n"
    assert 'name="generator" content="written by stars-bench view' in Path(f"{pair}.html").read_text(encoding="utf-8")


def test_a_gif_moves_at_the_speed_of_the_recording_with_two_bodies_in_two_colours(view: View, pair: str) -> None:
    view(pair, "--out", "pair.gif", "--frames", "0:20")
    with Image.open("pair.gif") as gif:
        assert gif.n_frames == 10
        assert gif.info["duration"] in (60, 70)  # hundredths of a second: 66.7 ms
        pictures_ = [gif.copy().convert("RGB") for at in range(10) if gif.seek(at) is None]
    assert all(coloured(one, body) > 50 for one in pictures_ for body in (0, 1))
    assert (np.asarray(pictures_[0]) != np.asarray(pictures_[-1])).any()


def test_a_strip_is_a_png_and_a_sheet_is_made_again_bit_for_bit(view: View, pair: str) -> None:
    view(pair, "--format", "png")
    with Image.open(f"{pair}.png") as strip:
        assert strip.width > 2.5 * strip.height
        assert coloured(strip, 0) > 500
        assert coloured(strip, 1) > 500
    words = ("--random", "3", "--class", "23", "--seed", "4")
    assert view(*words) == "written: 3_clips_of_synthetic_class_23_seed_4.png\n"
    view(*words, "--out", "again.png")
    assert Path("again.png").read_bytes() == Path("3_clips_of_synthetic_class_23_seed_4.png").read_bytes()


def test_a_file_of_somebody_else_is_kept(view: View, pair: str) -> None:
    for name in ("a.html", "a.png", "a.gif"):
        Path(name).write_bytes(b"a thesis")
        with pytest.raises(UsageError, match=f"{name} is there"):
            view(pair, "--out", name, "--frames", "0:4")
        assert Path(name).read_bytes() == b"a thesis"
        view(pair, "--out", name, "--frames", "0:4", "--force")
        view(pair, "--out", name, "--frames", "0:4")  # its own
        assert Path(name).read_bytes() != b"a thesis"


def test_a_gif_of_too_many_frames_is_refused(view: View, pair: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "GIF_MOST", 10)
    with pytest.raises(UsageError, match="--frames 0:20"):
        view(pair, "--out", "long.gif")


@pytest.mark.parametrize("words", [("--format", "mp4"), ("--out", "a.mp4"), ("--out", "a.gif", "--format", "png")])
def test_formats_that_there_are_not(view: View, pair: str, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        view(pair, *words)


@pytest.mark.parametrize("text", ["5", "9:3", "a:b", ":4"])
def test_frames_that_are_none(view: View, pair: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"--frames {text}"):
        view(pair, "--frames", text)


def test_names_become_file_names() -> None:
    assert output.target(None, None, "../a b/<c>", "html") == (Path(".._a_b_c_.html"), "html")
