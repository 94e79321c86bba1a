"""Predictions on disk: one compressed .npz a result, from which every metric can be computed again.

Arrays: `names`, `labels`, `subject`, `setup`, `camera`, `replication` and `performance` (N,) of the test part;
`predictions`; `about`, a JSON text with the schema, kind, settings and checkpoint rule; and where the outcome has them
`scores`, `by_epoch`, `rows` and `extra_NAME`. Whole numbers are kept in as few bytes as they need. The same outcome
gives the same bytes. Files of schema 2 do not say who is in a clip, those of schema 1 have no `about`: they are of
classes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stars_bench.errors import StarsBenchError, one_line
from stars_bench.io.files import atomic_path
from stars_bench.io.sealed import Damaged, seal
from stars_bench.io.untrusted.npy import opened_npz
from stars_bench.records.measured_clips import COLUMNS, MeasuredClips
from stars_bench.records.outcome import Outcome

SCHEMA_VERSION = 3
OPTIONAL = ("scores", "by_epoch", "rows")
EXTRA = "extra_"
LARGE = ("scores", "by_epoch", EXTRA)


def save_predictions(file: Path, outcome: Outcome, clips: MeasuredClips) -> None:
    """Writes an outcome with the clips of the test part."""
    about = {
        "schema": SCHEMA_VERSION,
        "names_persons": clips.names_persons,
        "kind": outcome.kind,
        "settings": dict(outcome.settings),
        "checkpoint_rule": outcome.checkpoint_rule,
    }
    arrays = {"names": clips.names.astype(str), "labels": clips.labels, "predictions": outcome.predictions}
    arrays |= clips.numbers
    arrays |= {name: value for name in OPTIONAL if (value := getattr(outcome, name)) is not None}
    arrays |= {EXTRA + name: value for name, value in outcome.extra.items()}
    small = {name: as_small_as_fits(np.asarray(value)) for name, value in arrays.items()}
    with atomic_path(file) as temporary, temporary.open("w+b") as stream:
        np.savez_compressed(stream, allow_pickle=False, about=np.array(json.dumps(about, sort_keys=True)), **small)
        seal(stream)


def load_predictions(file: Path, scores: bool = True) -> tuple[Outcome, MeasuredClips]:
    """The outcome, and the clips of the test part. What it trained (`stages`) is in the record alone.

    Args:
        file: the file.
        scores: read scores, predictions by epoch and extra arrays, too; they are most of the bytes.

    Raises:
        StarsBenchError: not such a file, a damaged one, or one of a newer version.
    """
    try:
        with opened_npz(file) as stored:
            arrays = {name: stored[name] for name in stored if scores or not name.startswith(LARGE)}
        about = json.loads(str(arrays.get("about", "{}")))
        if about.get("schema", 0) > SCHEMA_VERSION:
            raise StarsBenchError(f"{file}: predictions of a newer stars-bench: update it")
        outcome = Outcome(
            predictions=arrays["predictions"],
            settings=about.get("settings", {}),
            kind=about.get("kind", "classes"),
            checkpoint_rule=about.get("checkpoint_rule", "last epoch"),
            extra={name.removeprefix(EXTRA): value for name, value in arrays.items() if name.startswith(EXTRA)},
            scores=arrays.get("scores"),
            by_epoch=arrays.get("by_epoch"),
            rows=arrays.get("rows"),
        )
        numbers = {name: arrays[name] for name in COLUMNS if name in arrays}
        clips = MeasuredClips(arrays["names"], arrays["labels"], numbers, about.get("names_persons", True))
        return outcome, clips
    except KeyError as error:
        raise StarsBenchError(f"{file}: no saved predictions of stars-bench ({error} is missing)") from error
    except OSError as error:
        raise StarsBenchError(f"{file}: cannot be read ({error.strerror or error})") from error
    except (ValueError, AttributeError) as error:  # `about` is no JSON object
        raise Damaged(f"{file}: damaged ({one_line(error)})") from error


def as_small_as_fits(values: np.ndarray) -> np.ndarray:
    """Return signed whole numbers as int16 or int32 where all fit; everything else as it is."""
    if values.dtype.kind != "i" or not values.size:
        return values
    for kind in (np.int16, np.int32):
        if np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
            return values.astype(kind)
    return values
