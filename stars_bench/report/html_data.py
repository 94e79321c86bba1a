"""What the page shows beside its tables: provenance, confusions, curves, maps and k-shot curves, as plain JSON values.

Read from what lies beside the records: log.jsonl, predictions/, maps/. What is not there any more is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from stars_bench import registry
from stars_bench.errors import StarsBenchError, of_validation, one_line
from stars_bench.io.run_folder import DIGITS_OF_KEY, RunFolder
from stars_bench.io.sealed import refuse_odd
from stars_bench.io.untrusted.npy import opened_npz
from stars_bench.records.learning_curves import curve, logged
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord
from stars_bench.report.results.result import MAIN_METRIC, Result
from stars_bench.viewer.thumbnails import KeptSkeletons

LARGEST = 256 << 20
"""Bytes of a file of a map or of its skeletons, at most."""
KeptT = TypeVar("KeptT", bound=BaseModel)


class MapPoints(BaseModel):
    """A map, as the command `map` stores it.

    Args:
        title: Title of the map.
        caption: Line of numbers under it.
        points: (x, y) of each clip.
        names: Names of the clips.
        labels: 0-based class of each clip.
        classes: Names of all classes.
    """

    title: str
    caption: str
    points: list[tuple[float, float]]
    names: list[str]
    labels: list[int]
    classes: list[str]


def confusion(result: Result) -> dict[str, Any] | None:
    """Count (true, predicted, clips) over the seeds, flat; only the accuracy of each class if predictions are gone.

    None for evaluations that do not classify.
    """
    if result.measure.metric != MAIN_METRIC or any(record.per_class is None for record in result.records):
        return None
    pairs: dict[tuple[int, int], int] = {}
    for one in result.stored:
        found = None if one.folder is None else _predicted(one.folder.path / one.record.predictions.file)
        if found is None:
            return {"perClass": _mean_per_class(result.records)}
        values, counts = np.unique(np.stack(found), axis=1, return_counts=True)
        for true, told, clips in zip(*values.tolist(), counts.tolist(), strict=True):
            pairs[true, told] = pairs.get((true, told), 0) + clips
    return {"counts": [number for pair, clips in sorted(pairs.items()) for number in (*pair, clips)]}


def _predicted(file: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return true and predicted classes (N,) of saved predictions; None if they cannot be read."""
    try:
        with opened_npz(file) as stored:
            labels, predictions = stored["labels"], stored["predictions"]
            rows = stored.get("rows")
    except FileNotFoundError:
        return None
    except (OSError, KeyError, StarsBenchError) as error:
        logging.getLogger(__name__).warning("no confusion matrix: %s", one_line(error))
        return None
    labels = labels if rows is None else labels[rows]
    return (
        (labels.astype(np.int64), predictions.astype(np.int64))
        if labels.shape == predictions.shape and labels.ndim == 1
        else None
    )


def _mean_per_class(records: Sequence[Record]) -> list[float | None]:
    """Return the mean accuracy of each class over the records that have clips of it."""
    columns = zip(*(record.per_class or () for record in records), strict=True)
    known = [[value for value in column if value is not None] for column in columns]
    return [round(sum(values) / len(values), 2) if values else None for values in known]


def classes(dataset: str) -> list[str]:
    """Return the action names of a dataset; none where a plug-in that made it is not installed."""
    return list(registry.load("datasets", dataset).classes) if dataset in registry.names("datasets") else []


def curves(stored: Iterable[StoredRecord], title: str) -> Iterator[dict[str, Any]]:
    """Yield what each stage of these records logged: epochs and, by quantity, values."""
    folders: dict[RunFolder, set[str]] = {}
    seeds: dict[RunFolder, int] = {}
    for one in stored:
        if one.folder is not None:
            folders.setdefault(one.folder, set()).update(stage.key[:DIGITS_OF_KEY] for stage in one.record.stages)
            seeds[one.folder] = one.record.seed
    for folder, keys in folders.items():
        for key, lines in logged(folder).items():
            if key in keys:
                yield {"title": f"{title}, seed {seeds[folder]}", "key": key, **curve(lines)}


def maps(stored: Iterable[StoredRecord]) -> list[dict[str, Any]]:
    """Return places of clips that `map` kept for these records; `data` is the digest of the clips' data."""
    kept = {one.path: one.record for one in stored if one.path is not None}
    found = []
    for path, record in kept.items():
        kept_map = _kept(RunFolder.of_record(path).map_file(path), MapPoints)
        if kept_map is not None:
            found.append(kept_map.model_dump() | {"data": record.dataset.digest})
    return found


def _kept(file: Path, form: type[KeptT]) -> KeptT | None:
    """What `map` kept in a file; None where there is none, and with a line where it cannot be read."""
    try:
        refuse_odd(file, LARGEST)
        return form.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        why = of_validation(error, str(file))
    except (OSError, StarsBenchError) as error:
        why = one_line(error)
    logging.getLogger(__name__).warning("no map: %s", why)
    return None


def skeletons(stored: Iterable[StoredRecord]) -> dict[str, dict[str, Any]]:
    """Return small skeletons that `map` kept for these records, by their data's digest: {layout, licence, clips}."""
    found: dict[str, dict[str, Any]] = {}
    for path in dict.fromkeys(one.path for one in stored if one.path is not None):
        kept = _kept(RunFolder.of_record(path).skeleton_file(path), KeptSkeletons)
        if kept is None:
            continue
        own = found.setdefault(kept.digest, {"layout": kept.layout, "licence": kept.licence, "clips": {}})
        own["clips"] |= kept.clips
    return found


def shots(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the accuracy over the number of labelled clips a class: one series a method and other settings."""
    series: dict[str, dict[str, Any]] = {}
    for result in results:
        settings = dict(result.measure.settings)
        if (count := settings.pop("shots", None)) is None:
            continue
        told = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))
        title = f"{result.label}, {result.benchmark.title}, {told}"
        number = result.main
        point = [count, round(number.mean, 3), number.low, number.high]
        series.setdefault(title, {"title": title, "points": []})["points"].append(point)
    return [one | {"points": sorted(one["points"])} for one in series.values()]
