"""Conformance checks for plug-ins: a method, dataset or protocol in, nothing out, or one line for each fault.

For an author's own tests: `check_method(MyMethod)`. They need no data but, for a dataset, a few raw files, and take
seconds on a CPU.
"""

from __future__ import annotations

from stars_bench.testing.dataset import check_dataset
from stars_bench.testing.faults import NotConforming
from stars_bench.testing.method import check_method
from stars_bench.testing.protocol import check_protocol

__all__ = ["NotConforming", "check_dataset", "check_method", "check_protocol"]
