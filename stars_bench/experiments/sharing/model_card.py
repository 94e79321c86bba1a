"""The model card of an exported encoder: what it is, how to load it, what it was trained on, what was measured."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stars_bench import registry
from stars_bench.api import DatasetSpec
from stars_bench.errors import UsageError
from stars_bench.records.record import Metric, Record
from stars_bench.records.record_facts import interval, sampled
from stars_bench.report.bibliography import Bibliography
from stars_bench.report.markdown import plain

TASK = "skeleton-based action recognition"
COLUMNS = "| evaluation | metric | value | 95 % interval | sampled | clips | marks |\n|---|---|---:|---|---|---:|---|"


def card(content: Mapping[str, Any], method: str, records: Sequence[Record], file: Path) -> str:
    """Return the card in Markdown, with the front matter of Hugging Face's hub.

    Args:
        content: What encoder.pt holds.
        method: Name of the method.
        records: What was measured with it.
        file: The encoder's file, for messages.
    """
    title = f"{method}, {content['dataset']} {content['protocol']}, seed {content['seed']}"
    spec = _dataset(content["dataset"], file)
    joints = "V" if spec is None else str(len(spec.skeleton.joints))
    frames = content["config"].get("frames", "T")
    parts = [
        _front_matter(content, method, title, records),
        f"# {plain(title)}",
        "",
        f"An encoder of skeleton clips for {TASK}, trained and measured with stars-bench. It maps clips "
        f"(B, 3, {frames}, {joints}, 2) in metres to features (B, D).",
        "",
        "## Use",
        "",
        "```python",
        "import stars_bench",
        "",
        'encoder = stars_bench.load_encoder("THIS_FOLDER")  # an nn.Module, in evaluation mode',
        "```",
        "",
        "`stars-bench evaluate THIS_FOLDER --dataset NAME --protocol NAME` measures it, and "
        "`stars-bench run METHOD --init THIS_FOLDER` starts from it. The folder holds weights and texts and no code: "
        "the method must be installed.",
        "",
        "## Training",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {plain(value)} |" for name, value in _training(content, method, spec).items()),
        "",
        "## Results",
        "",
        *(_results(records) if records else ["Nothing was measured in the run."]),
        "",
        *_citations(records),
    ]
    return "\n".join(parts)


def _front_matter(content: Mapping[str, Any], method: str, title: str, records: Sequence[Record]) -> str:
    """JSON is YAML, and no text in it can be taken for anything else."""
    values = {
        "library_name": "stars-bench",
        "tags": [TASK.replace(" ", "-"), method, content["dataset"], content["protocol"]],
        "model-index": [{"name": title, "results": [_index(record) for record in records]}],
    }
    lines = [f"{name}: {json.dumps(value)}" for name, value in values.items() if records or name != "model-index"]
    return "\n".join(["---", *lines, "---", ""])


def _index(record: Record) -> dict[str, Any]:
    data, split = record.dataset, record.protocol
    return {
        "task": {"type": "other", "name": f"{TASK}, {record.evaluation.title}"},
        "dataset": {"name": f"{data.name} {split.name}", "type": data.name, "config": split.name, "split": "test"},
        "metrics": [{"type": metric.name, "value": round(metric.value, 4)} for metric in record.metrics],
    }


def _dataset(name: str | None, file: Path) -> DatasetSpec | None:
    try:
        registry.check_from_file("datasets", name or "", file)
        spec: DatasetSpec = registry.load("datasets", name or "")
    except UsageError:
        return None
    return spec


def _training(content: Mapping[str, Any], method: str, spec: DatasetSpec | None) -> dict[str, str]:
    facts = {
        "method": f"{method} ({content['method']})",
        "data": f"{content['dataset']} {content['protocol']}, {content['stream']}s",
        "clips": "unknown" if content["train"] is None else f"{len(content['train'].splitlines()):,}",
        "classes": "unknown" if content["classes"] is None else f"{len(content['classes'].splitlines()):,}",
        "recipe": content.get("recipe", "common"),
        "preset": content["preset"] or "none",
        "seed": str(content["seed"]),
        "epoch kept": content.get("select", "last"),
        "settings": json.dumps(content["config"], sort_keys=True),
        "licence of the data": "" if spec is None else spec.licence,
    }
    return {name: value for name, value in facts.items() if value}


def _results(records: Sequence[Record]) -> list[str]:
    rows = [(record, metric) for record in records for metric in record.metrics]
    return [COLUMNS, *(_row(record, metric) for record, metric in rows)]


def _row(record: Record, metric: Metric) -> str:
    where = f"{record.evaluation.title}, {record.dataset.name} {record.protocol.name}"
    value = f"{metric.value:.2f} {metric.unit}".strip()
    marks = "; ".join(record.marks)
    cells = (where, metric.name, value, interval(metric, ".2f"), sampled(metric), f"{metric.n:,}", marks)
    return f"| {' | '.join(map(plain, cells))} |"


def _citations(records: Sequence[Record]) -> list[str]:
    bibliography = Bibliography()
    for record in records:
        bibliography.cite_method(record)
        bibliography.cite_dataset(record)
    return ["## Cite", "", "```bibtex", bibliography.text.strip("\n"), "```", ""] if bibliography.entries else []
