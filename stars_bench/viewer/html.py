"""Scenes as one interactive HTML file: drag to rotate, scrub, play; takes of a clip side by side, or a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stars_bench.display.document import document
from stars_bench.viewer.scene import Scene, Take, layout, packed

FOLDER = ("stars_bench.viewer", "page")


def to_html(scenes: Sequence[Scene], title: str, eye: bool = True) -> str:
    """Return the page; of several scenes, it shows the last take of each.

    Args:
        scenes: The clips.
        title: Title of the page.
        eye: Whether the page starts as an eye at the sensor's place sees it, that is not mirrored. Default: True.
    """
    shown = [(scene, scene.takes if len(scenes) == 1 else scene.takes[-1:]) for scene in scenes]
    data = {
        "rate": scenes[0].rate,
        "scenes": [
            {"layout": layout(scene.skeleton), "takes": [_take(take) for take in takes]} for scene, takes in shown
        ],
    }
    told = [
        {"name": scene.name, "facts": scene.facts, "takes": takes, "labels": scene.labels, "frames": _frames(scene)}
        for scene, takes in shown
    ]
    licences = sorted({scene.licence for scene in scenes} - {""})
    return document(
        "view",
        FOLDER,
        "view.html",
        ("skeleton.js", "view.js"),
        data,
        title=title,
        scenes=told,
        eye=eye,
        licences=licences,
    )


def _frames(scene: Scene) -> int:
    return max(int(take.bodies.shape[1]) for take in scene.takes)


def _take(take: Take) -> dict[str, Any]:
    frames = take.bodies.shape[1]
    return packed(take.bodies) | {"numbers": list(take.numbers) or None, "last": take.number(frames - 1)}
