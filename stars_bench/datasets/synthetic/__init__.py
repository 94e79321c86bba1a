"""Synthetic data in NTU's format: simulated actors, as raw `.skeleton` files or as clips without files.

Performers (bodies and habits), choreographies for the 120 actions of NTU RGB+D 120, three Kinect-like sensors a setup,
and a writer of `.skeleton` text (`writer.write_raw`). `generated` makes, without any text, the clips that would be read
from it. Every clip is a pure function of (seed, name). The simulation is imported when it is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from stars_bench.api import Citation, Clip, DatasetSpec, Found, Profile, RawItem, SetAside
from stars_bench.datasets import ntu
from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.skeletons.kinect import KINECT_V2

CITATION = Citation("stars-bench", "stars-bench: synthetic skeleton clips", kind="misc")
MOVED = {"clip_names": "stage", "make_clip": "camera", "to_text": "writer", "write_raw": "writer"}
"""Functions that were found here before 0.1.0, and their modules."""
LICENCE = "Apache-2.0"
WHERE = "Add --clips 240 to generate clips, or give --raw PATH to raw files that you have"


def generate(clips: int | None = None) -> Found:
    """List items without raw files, which `convert` makes clips of.

    Args:
        clips: Number of clips, balanced over the actions. Default: None, those of the quick start.
    """
    from stars_bench.datasets.synthetic.generated import generated_items
    from stars_bench.datasets.synthetic.stage import DEFAULT_CLIPS, DEFAULT_SETUPS

    count = clips or DEFAULT_CLIPS
    # A small set is of few classes, those of the quick start: of 120 classes each would have a performance or two.
    return Found(generated_items(count, setups=DEFAULT_SETUPS if count <= DEFAULT_CLIPS else None))


def convert(item: RawItem, data: Mapping[str, bytes], profile: Profile) -> Iterable[Clip | SetAside]:
    """Clean one raw file, or simulate and clean the clips of an item without one."""
    if item.sources:
        return ntu.convert(item, data, profile)
    from stars_bench.datasets.synthetic.generated import clips_of

    return clips_of(item, profile)


SYNTHETIC = DatasetSpec(
    name="synthetic",
    title="synthetic actors in NTU's format",
    classes=ntu.class_names("ntu_actions.txt"),
    skeleton=KINECT_V2,
    profiles=ntu.profiles("zero"),
    default_profile="mamp",
    find=partial(ntu.find, last_setup=ntu.NTU120_SETUPS, classes=ntu.NTU120_CLASSES, leave_out_missing=False),
    convert=convert,
    expected_clips=None,
    where=WHERE,
    licence=LICENCE,
    citation=CITATION,
    read_name=ntu.read_name,
    generate=generate,
    warm_up=compiled_code.load_ntu,
)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Give what was found here before 0.1.0, with a DeprecationWarning, until 0.2.0."""
        if name not in MOVED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = f"{__name__}.{MOVED[name]}"
        warnings.warn(f"{name} is now in {module}; the old place goes in 0.2.0", DeprecationWarning, stacklevel=2)
        return getattr(import_module(module), name)
