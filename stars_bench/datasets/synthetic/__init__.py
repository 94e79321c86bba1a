"""Made-up actors who write raw NTU files, so that the whole road runs without licensed data.

Performers (bodies and habits), choreographies for the 120 actions of NTU RGB+D 120, three Kinect-like sensors a setup,
and a writer of `.skeleton` text; or, without any text, the clips that would be read from it. Every clip is a pure
function of (seed, name).
"""

from stars_bench.datasets.synthetic.actions.actions import ACTIONS, DEFAULT_ACTIONS
from stars_bench.datasets.synthetic.camera import SyntheticClip, make_clip
from stars_bench.datasets.synthetic.generated import generate, generated_items
from stars_bench.datasets.synthetic.stage import DEFAULT_CLIPS, DEFAULT_SETUPS, clip_names
from stars_bench.datasets.synthetic.writer import to_text, write_raw

__all__ = [
    "ACTIONS",
    "DEFAULT_ACTIONS",
    "DEFAULT_CLIPS",
    "DEFAULT_SETUPS",
    "SyntheticClip",
    "clip_names",
    "generate",
    "generated_items",
    "make_clip",
    "to_text",
    "write_raw",
]
