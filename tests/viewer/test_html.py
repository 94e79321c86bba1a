"""The page of a clip in a real browser: dragging turns, scrubbing moves, playing plays; nothing is asked for."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.viewer.html import to_html
from stars_bench.viewer.scene import Scene, Take, packed
from tests.browser import needs_chromium, use

HOSTILE = "</script><img src=x onerror=document.title='run'>&amp;"
RIGHT, LEFT = KINECT_V2.joints.index("right hand"), KINECT_V2.joints.index("left hand")


def walking(frames: int = 40) -> np.ndarray:
    """(2, F, 25, 3): two people, the second unseen for the first ten frames; the right hand of both at larger x."""
    rng = np.random.default_rng(0)
    pose = np.stack([rng.uniform(-0.2, 0.2, 25), np.linspace(-0.9, 0.9, 25), np.linspace(2.9, 3.1, 25)], axis=1)
    pose[RIGHT], pose[LEFT] = (0.6, 0.2, 2.8), (-0.6, 0.1, 3.2)
    steps = np.linspace(0, 1, frames)[:, None, None] * (0.5, 0.0, 0.0)
    bodies = np.stack([pose + steps, pose + steps + (1.2, 0.0, 0.3)]).astype(np.float32)
    bodies[1, :10] = np.nan
    return bodies


@pytest.fixture(scope="module")
def scene() -> Scene:
    takes = (Take("as recorded", walking(), tuple(range(3, 43))), Take(HOSTILE, walking(30)))
    return Scene(HOSTILE, (HOSTILE, "facts"), KINECT_V2, takes, HOSTILE)


@pytest.mark.parametrize("bits", [8, 16])
def test_packing_keeps_places_and_who_is_not_seen(bits: int) -> None:
    bodies = walking()
    content = packed(bodies, bits)
    numbers = np.frombuffer(base64.b64decode(content["data"]), f"<i{bits // 8}").astype(float).reshape(bodies.shape)
    lowest = -(2 ** (bits - 1))
    assert ((numbers == lowest) == np.isnan(bodies)).all()
    back = np.where(numbers == lowest, np.nan, numbers * content["unit"])
    shift = np.nanmedian(bodies - back, axis=(0, 1, 2))
    np.testing.assert_allclose(back + shift, bodies, atol=0.02 if bits == 8 else 1e-4)


def test_packing_thins_long_clips_and_keeps_their_pace() -> None:
    content = packed(walking(300), 8, most_frames=32)
    assert content["frames"] == 32
    assert 32 / content["rate"] == pytest.approx(300 / 30, rel=0.05)
    assert len(content["data"]) < 2 * 3300  # bytes a clip and two bodies, as docs/pictures.md states
    assert packed(walking(20), 8, most_frames=32)["frames"] == 20


def test_a_clip_is_played_at_the_frame_rate_of_its_dataset(scene: Scene) -> None:
    assert packed(walking(300), 8, most_frames=32, rate=15.0)["rate"] == pytest.approx(15 * 31 / 299, abs=1e-3)
    assert '"rate":15.0,"scenes"' in to_html([replace(scene, rate=15.0)], "slow")


def test_no_name_becomes_markup(scene: Scene) -> None:
    page = to_html([scene], HOSTILE)
    assert "<img" not in page
    assert page.count("<script") == 2
    assert page.count("</script>") == 2


USED = """
const [one, other] = drawn;
play(false);
player.go(12);
const hands = () => [%d, %d].map((joint) => one.place(0, joint)[0]);
out.push(hands()[0] < hands()[1]);                                   // right hand on the left
out.push(one.place(0, 3)[1] < one.place(0, 0)[1] === (%s));          // y is up
const pen = () => one.canvas.toDataURL();
const before = pen();
const send = (kind, x, y) => one.canvas.dispatchEvent(new PointerEvent(kind, { clientX: x, clientY: y }));
one.canvas.setPointerCapture = () => {};
send("pointerdown", 100, 100); send("pointermove", 220, 130); send("pointerup", 220, 130);
out.push([view.yaw.toFixed(2), view.pitch.toFixed(2), pen() !== before]);
send("pointermove", 400, 400);
out.push(view.yaw.toFixed(2));                                        // not held any more
one.canvas.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
out.push(view.yaw.toFixed(2));
document.querySelector("[data-yaw]").click();
out.push([view.yaw, view.pitch]);
document.getElementById("eye").click();
out.push(hands()[0] > hands()[1]);
document.getElementById("eye").click();
scrub.value = 5; scrub.dispatchEvent(new Event("input"));
out.push([one.frame, one.caption.textContent, one.place(1, 0) === null, told.textContent]);
scrub.value = 39; scrub.dispatchEvent(new Event("input"));
out.push([other.caption.textContent, one.place(1, 0) !== null]);
document.dispatchEvent(new KeyboardEvent("keydown", { key: ",", bubbles: true }));
out.push(one.frame);
document.body.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
await wait(500);
out.push([player.playing, one.frame !== 38, playButton.textContent]);
playButton.click();
const still = one.frame;
await wait(300);
out.push(one.frame === still);
player.go(20);
const light = pen();
document.getElementById("theme").click();
out.push(pen() !== light);
out.push(document.title.startsWith("<" + "/script>"));
"""


@needs_chromium
def test_in_a_browser_it_turns_scrubs_and_plays(scene: Scene, tmp_path: Path) -> None:
    body = walking()[0, 12]
    script = USED % (RIGHT, LEFT, str(bool(body[3, 1] > body[0, 1])).lower())
    assert use(to_html([scene], HOSTILE), script, tmp_path) == [
        True,
        True,
        ["-1.00", "0.25", True],
        "-1.00",
        "-1.15",
        [0, 0],
        True,
        [5, "frame 8 of 42", True, "0.17 s"],
        ["frame 30 of 30", True],
        38,
        [True, True, "pause"],
        True,
        True,
        True,
    ]


@needs_chromium
def test_a_sheet_plays_every_clip_from_its_start_again(scene: Scene, tmp_path: Path) -> None:
    short = Scene("short", ("1 a",), KINECT_V2, (Take("t", walking(12)),))
    page = to_html([scene, short], "two")
    script = "play(false); player.go(13); out.push(drawn.map((one) => one.frame), drawn.map((one) => one.take.frames));"
    assert use(page, script, tmp_path) == [[13, 1], [30, 12]]


def test_nobody_is_mirrored_unless_that_is_asked_for(scene: Scene) -> None:
    assert 'id="eye" checked' in to_html([scene], "x")
    assert 'id="eye" checked' not in to_html([scene], "x", eye=False)
