"""Conformance checks for plug-ins: methods, datasets, protocols and evaluations; each fault is one line.

Use them in a plug-in's own tests: `check_method(MyMethod)`. They need no data, except a few raw files for a dataset,
and take seconds on a CPU.
"""

from __future__ import annotations

from stars_bench.testing.dataset import check_dataset
from stars_bench.testing.evaluation import check_evaluation
from stars_bench.testing.faults import NotConforming
from stars_bench.testing.method import check_method
from stars_bench.testing.protocol import check_protocol

__all__ = ["NotConforming", "check_dataset", "check_evaluation", "check_method", "check_protocol"]
