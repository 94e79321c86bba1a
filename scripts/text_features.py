"""Make stars_bench/evaluation/texts/features.npz, the text features that zero-shot evaluations use by default.

Run once, in an environment of its own, with the package's folder on PYTHONPATH:

    pip install wordllama==0.4.0.post1
    PYTHONPATH=. python scripts/text_features.py

WordLlama (MIT licence) averages the token embeddings of a language model; its wheel carries the weights that are used
here, 256 numbers a text. It is no dependency of stars-bench. In: the class names of the datasets that have zero-shot
protocols, and our own sentences in descriptions.csv. Out: `names` (C,), `name_features` and `description_features`
(C or fewer, 256) float16 at unit length, and `model`. Classes with a sentence come first; the others have names alone.
"""

from __future__ import annotations

import csv
from importlib.metadata import version
from pathlib import Path

import numpy as np
import wordllama

from stars_bench import registry

FOLDER = Path(__file__).parents[1] / "stars_bench" / "evaluation" / "texts"
DATASETS = ("ntu120", "pku1", "nwucla", "utd-mhad", "kinetics-skeleton")


def main() -> None:
    """Embed all texts and write the file."""
    with (FOLDER / "descriptions.csv").open(encoding="utf-8", newline="") as file:
        sentences = {row["class"]: row["description"] for row in csv.DictReader(file)}
    classes = (name for dataset in DATASETS for name in registry.load("datasets", dataset).classes)
    names = sorted(dict.fromkeys(classes), key=lambda name: name not in sentences)
    # The wheel holds tokenizer and weights where a cache would have them.
    model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    texts = {"name_features": names, "description_features": [sentences[name] for name in names if name in sentences]}
    features = {key: model.embed(lines, norm=True).astype(np.float16) for key, lines in texts.items()}
    about = np.array(f"WordLlama {version('wordllama')}, l2_supercat, 256 numbers")
    np.savez_compressed(FOLDER / "features.npz", names=np.array(names), model=about, **features)


if __name__ == "__main__":
    main()
