"""The GPU tables of docs/performance.md, in Markdown, from the file that `benchmarks/gpu_report.sh` writes.

Usage, at the top of a checkout:
    python -m benchmarks.gpu_tables REPORT.json                             print them
    python -m benchmarks.gpu_tables REPORT.json --into docs/performance.md  put them between the markers there
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- GPU tables: begin -->", "<!-- GPU tables: end -->"
PREDICTED_MS = {
    ("tf32", "plain", 128): 55.0, ("bf16", "plain", 128): 29.8, ("bf16", "default", 128): 26.0,
}  # fmt: skip
"""Milliseconds of a step of stage 1 on an H100, counted from its operations before anything was measured."""
GROUPS = ("products", "attention", "element-wise", "copies", "optimiser")
Row = dict[str, Any]
COLUMNS: dict[str, Callable[[Row], str]] = {
    "": lambda row: row["name"],
    "precision": lambda row: row["precision"],
    "`--compile`": lambda row: {"plain": "", "default": "blocks"}.get(row["mode"], row["mode"]),
    "batch": lambda row: f"{row['batch']}",
    "ms a step": lambda row: f"{row['step_ms']:.3g}",
    "predicted": lambda row: (
        number(PREDICTED_MS.get((row["precision"], row["mode"], row["batch"]))) if row["name"] == "stage 1" else ""
    ),
    "clips/s": lambda row: number(row["clips_per_second"]),
    "TFLOP/s": lambda row: f"{row['tflops']:.3g}",
    "% of peak": lambda row: f"{row['peak_percent']:.1f}",
    "data %": lambda row: f"{row['data_percent']:.1f}",
    "launches": lambda row: number(row.get("launches")),
    "busy %": lambda row: number(row.get("busy_percent")),
    "peak GB": lambda row: number(row["peak_gb"]),
}


def number(value: float | None) -> str:
    """Three digits, or nothing where nothing is known."""
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; every column but the first is aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(report: dict[str, Any]) -> str:
    """All tables of a report, with the machine and the commit above them and what failed below."""
    parts = [part for part in report["parts"] if part["result"]]
    rows = [row for part in parts if part["part"] != "memory" for row in part["result"].get("rows", [])]
    blocks = [*_measured_on(report, parts)]
    if rows:
        blocks.append(table(list(COLUMNS), [[cell(row) for cell in COLUMNS.values()] for row in rows]))
    if profiled := [row for row in rows if "groups_ms" in row]:
        blocks.append("Milliseconds of a step by what the kernels do (profiler):")
        blocks.append(table(["", "`--compile`", *GROUPS], [_groups(row) for row in profiled]))
    by_name = {part["part"]: part["result"] for part in parts}
    if "row" in by_name and "row" in by_name["row"]:
        found = by_name["row"]["row"]
        blocks.append(f"A row of NTU RGB+D 60, {found['precision']}, seconds:")
        cells = [(name, number(found["measured"][name]), number(full)) for name, full in found["full"].items()]
        blocks.append(table(["", "measured, shortened", "in full, extrapolated"], cells))
    if memory := by_name.get("memory", {}).get("rows"):
        blocks.append("Peak memory of tensors, 10^9 bytes:")
        cells = [(row["name"], row["precision"], f"{row['batch']}", number(row["peak_gb"])) for row in memory]
        blocks.append(table(["", "precision", "batch", "peak GB"], cells))
    blocks.extend(_tests(by_name))
    if failed := [part for part in report["parts"] if part["error"]]:
        lines = [(part["part"], part["error"].splitlines()[0], part["error"].splitlines()[-1]) for part in failed]
        blocks.append("Parts that failed:")
        blocks.append(
            table(["part", "what", "last line"], [[cell.replace("|", "/") for cell in line] for line in lines])
        )
    return "\n\n".join(blocks)


def _measured_on(report: dict[str, Any], parts: list[dict[str, Any]]) -> Iterator[str]:
    if not parts:
        return
    machine, command = parts[0]["result"]["machine"], f"bash benchmarks/gpu_report.sh --device {report['device']}"
    commits = sorted({str(part["code"]["commit"])[:8] + "+" * bool(part["code"]["dirty"]) for part in parts})
    where = f"{machine['gpu']} ({machine['gb']:.0f} GB), CUDA {machine['cuda']}" if machine["gpu"] else "no GPU"
    yield (
        f"`{command}{' --small' if report['small'] else ''}`, {parts[0]['written'][:10]}, commit {', '.join(commits)}: "
        f"{where}, torch {machine['torch']}, {machine['host']}."
    )


def _groups(row: Row) -> list[str]:
    title = f"{row['name']}, {row['precision']}, batch {row['batch']}"
    return [title, COLUMNS["`--compile`"](row), *(number(row["groups_ms"].get(group, 0.0)) for group in GROUPS)]


def _tests(by_name: dict[str, Any]) -> Iterator[str]:
    if found := by_name.get("tests", {}).get("tests"):
        wrong = found["failures"] + found["errors"]
        names = f" ({', '.join(found['failed'])})" if found["failed"] else ""
        yield f"`pytest -m gpu`: {found['tests']} tests, {found['skipped']} skipped, {wrong} failed{names}."


def put_between_markers(page: str, text: str) -> str:
    """The page with the text in place of what stood between the markers.

    Raises:
        ValueError: It does not have both markers, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--into", type=Path, metavar="PAGE", help="a page with both markers")
    chosen = parser.parse_args()
    text = tables(json.loads(chosen.report.read_text(encoding="utf-8")))
    if chosen.into is None:
        print(text)
        return
    try:
        page = put_between_markers(chosen.into.read_text(encoding="utf-8"), text)
    except ValueError as error:
        sys.exit(f"{chosen.into}: {error}")
    chosen.into.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
