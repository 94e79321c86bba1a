"""The command about the machine: doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from stars_bench.cli.options import DataDir, RunsDir, console

MARKS = {"OK": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "bold red")}


def doctor(
    data_dir: DataDir = Path("data"),
    runs_dir: RunsDir = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.")] = False,
) -> None:
    """Check this machine: packages, PyTorch and GPUs, CPUs, memory, environment variables, disks, data and records.

    The exit code is 1 if there is a problem. Below the table is a block to paste into an issue. It holds neither your
    name nor your home folder, and neither does the JSON.
    """
    from stars_bench.inspection import finding as found
    from stars_bench.inspection import machine

    findings = machine.examine(data_dir, runs_dir)
    if as_json:
        console.print(json.dumps(found.as_json(findings), indent=1), soft_wrap=True, markup=False)
        found.check(findings)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = MARKS[finding.state]
        text = Text(finding.text)
        if finding.remedy:
            text.append(f"\n→ {finding.remedy}", style)
        table.add_row(Text(f"{sign} {finding.state}", style), finding.matter, text)
    console.print(table)
    console.print("\nTo paste into an issue:\n")
    console.print(found.issue_block(findings), markup=False, soft_wrap=True)
    found.check(findings)
