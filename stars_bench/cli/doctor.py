"""The command about the machine: doctor."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from stars_bench.cli.options import DataDir, RunsDir, console

MARKS = {"good": ("✓", "green"), "note": ("!", "yellow"), "fault": ("✗", "bold red")}


def doctor(data_dir: DataDir = Path("data"), runs_dir: RunsDir = Path("runs")) -> None:
    """Check this machine: Python and packages, PyTorch and GPUs, memory and disk, prepared data, records.

    Lines marked ! are worth knowing. Lines marked ✗ are wrong and say what to do; then the exit code is 1. Put the
    output into a bug report.
    """
    from stars_bench.inspection import machine as looks

    findings = looks.examine(data_dir, runs_dir)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = MARKS[finding.state]
        table.add_row(Text(sign, style), finding.matter, Text(finding.text))
    console.print(table)
    looks.check(findings)
