"""Where the repository, its golden numbers and its historic files lie."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
GOLDEN = Path(os.environ.get("STARS_BENCH_GOLDEN") or TESTS / "golden")
GOLDEN2 = Path(os.environ.get("STARS_BENCH_GOLDEN2") or TESTS / "golden2")
GOLDEN_RAW = TESTS / "golden" / "raw"
STATISTICS = TESTS / "golden" / "statistics.json"
HISTORIC = TESTS / "historic"
