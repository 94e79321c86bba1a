"""Text features of classes: those that ship, or a user's file of any language model.

texts/features.npz is made by scripts/text_features.py with WordLlama 0.4.0.post1: of class names, and of our own
sentences in texts/descriptions.csv. A user's file is .npy, (C, D) in the order of the dataset's classes, or .npz with
`names` (C,) and `features` (C, D), and perhaps `model`, the name of what made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.errors import UsageError, one_line
from stars_bench.io.files import digest_file
from stars_bench.io.sealed import Damaged
from stars_bench.io.untrusted.npy import Rows, opened_npz

SHIPPED = Path(__file__).parent / "texts" / "features.npz"
KINDS = {"names": "name_features", "descriptions": "description_features"}
REMEDY = "give a file: --set zeroshot.text=FILE.npy, an array (classes, D) in the order of the dataset's classes"


@dataclass(frozen=True)
class ClassTexts:
    """Text features of a dataset's classes.

    Attributes:
        features: (C, D) float64 at unit length, after their mean is subtracted: texts share much of what they say.
        model: What made them.
        digest: Checksum of the file.
    """

    features: NDArray[np.float64]
    model: str
    digest: str


def class_texts(text: str, names: Sequence[str]) -> ClassTexts:
    """Read the text features of classes.

    Args:
        text: "names" or "descriptions", which ship, or a file.
        names: Names of the dataset's C classes.

    Raises:
        UsageError: A class has no text, the file is no such file, or it does not fit the classes.
    """
    path = SHIPPED if text in KINDS else Path(text)
    try:
        read = _of_every_class if path.suffix == ".npy" else _by_name
        features, model = read(path, names, KINDS.get(text, "features"))
        digest = digest_file(path)
    except (OSError, ValueError, KeyError, Damaged) as error:
        raise UsageError(
            f"zeroshot.text={text}: {one_line(error)}; it must be {' or '.join(KINDS)}, or a .npy or .npz file"
        ) from error
    if features.ndim != 2 or features.dtype.kind != "f" or not np.isfinite(features).all():
        raise UsageError(f"{path}: {features.dtype} {features.shape}: must be finite floats (classes, D)")
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    if not length.all():
        raise UsageError(f"{path}: a class's text features are the mean of all classes, so that they say nothing")
    return ClassTexts(centred / length, model, digest)


def _of_every_class(path: Path, names: Sequence[str], key: str) -> tuple[NDArray[Any], str]:  # noqa: ARG001
    """Read a .npy, a row a class."""
    with path.open("rb") as stream:
        rows = Rows(stream)
        if len(rows) != len(names):
            raise UsageError(f"{path}: {len(rows)} rows, and the dataset has {len(names)} classes; a row each")
        return np.concatenate(list(rows.blocks(len(rows)))), path.name


def _by_name(path: Path, names: Sequence[str], key: str) -> tuple[NDArray[Any], str]:
    """Read the rows of classes from a .npz that names its rows."""
    with opened_npz(path) as stored:
        row = {str(name): number for number, name in enumerate(stored["names"])}
        if missing := [name for name in names if name not in row]:
            raise UsageError(f"{path}: has no text of {len(missing)} classes, the first {missing[0]!r}: {REMEDY}")
        model = str(stored["model"]) if "model" in stored else path.name
        features = stored[key]
        if path == SHIPPED:  # classes without a sentence have their names in its place
            features = np.concatenate([features, stored[KINDS["names"]][len(features) :]])
        return features[[row[name] for name in names]], model
