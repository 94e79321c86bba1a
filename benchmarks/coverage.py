"""How often 95 % intervals hold the truth: simulated test parts of the designs of NTU RGB+D, and of smaller ones.

Hits come from a logistic model with fixed class effects, and small random effects of the person, of the person in the
class, and of the performance, which all cameras share. The truth is the accuracy on endlessly many other persons. With
several seeds, each trained model has effects of its own, by class.

    python -m benchmarks.coverage [--simulations 1000]
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

from stars_bench.records.statistics import formulas, intervals

IN_CLASS, IN_PERFORMANCE = 0.5, 0.5
"""Standard deviations of a person's ease in a class, and of a performance's, on the scale of a probit."""
LOGIT = 1.7
PERSONS_OF_TRUTH, REPEATS_OF_TRUTH = 200, 40


class Design(NamedTuple):
    """A test part, and how much persons and trained models differ."""

    title: str
    persons: int
    classes: int
    repetitions: int
    cameras: int
    between_persons: float = 0.15
    seeds: int = 1
    between_seeds: float = 0.0


DESIGNS = (
    Design("20 persons, 60 classes, 2 x 3 clips (NTU-60 x-sub)", 20, 60, 2, 3),
    Design("53 persons, 60 classes, 2 x 3 clips (as NTU-120 x-sub)", 53, 60, 2, 3),
    Design("5 persons, 10 classes, 4 x 3 clips", 5, 10, 4, 3),
    Design("4 persons, 27 classes, 4 x 1 clips (as UTD-MHAD)", 4, 27, 4, 1),
    Design("20 persons who do not differ", 20, 60, 2, 3, 0.0),
    Design("20 persons, 3 seeds", 20, 60, 2, 3, seeds=3, between_seeds=0.05),
)


def simulate(design: Design, simulations: int, rng: np.random.Generator) -> dict[str, float]:
    """Draw test parts.

    Args:
        design: what is simulated.
        simulations: how many test parts.
        rng: the random numbers.

    Returns:
        By kind of interval, the share of test parts whose interval holds the truth.
    """
    ease = rng.normal(1.2, 1.0, design.classes)
    truth = np.mean([_chances(design, PERSONS_OF_TRUTH, ease, rng).mean() for _ in range(REPEATS_OF_TRUTH)])
    held: dict[str, int] = {}
    for _ in range(simulations):
        chances = _chances(design, design.persons, ease, rng)[..., None]
        hits = (rng.random((*chances.shape[:-1], design.cameras)) < chances).reshape(design.seeds, -1)
        for kind, (se, quantile) in _errors(design, hits).items():
            held[kind] = held.get(kind, 0) + bool(abs(hits.mean() - truth) <= quantile * se)
    return {kind: count / simulations for kind, count in held.items()}


def _chances(design: Design, persons: int, ease: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(seeds, persons, classes, repetitions) chance that a clip is recognised."""
    clips = (persons, design.classes, design.repetitions)
    of_clips = (
        rng.normal(0, design.between_persons, (persons, 1, 1))
        + rng.normal(0, IN_CLASS, (*clips[:2], 1))
        + rng.normal(0, IN_PERFORMANCE, clips)
    )
    of_models = rng.normal(0, design.between_seeds, (design.seeds, 1, 1, 1))
    z = ease[None, None, :, None] + of_clips[None] + of_models
    return np.asarray(1 / (1 + np.exp(-LOGIT * z)))


def _errors(design: Design, hits: np.ndarray) -> dict[str, tuple[float, float]]:
    """By kind of interval: standard error, and half the interval in standard errors."""
    shape = design.persons, design.classes, design.repetitions, design.cameras
    person, label, repetition, _ = (place.reshape(-1) for place in np.indices(shape))
    performance = formulas.numbered(person, label, repetition)
    mean, seeds = hits.mean(0), hits.mean(1)
    by_person = intervals.sample_se(mean, "person", person, label)
    normal = formulas.NORMAL_95
    return {
        "independent clips": (formulas.independent_se(mean), normal),
        "performance, within class": (intervals.sample_se(mean, "performance", performance, label), normal),
        "person, normal": (by_person, normal),
        "person, t (headline)": (formulas.total_se(by_person, seeds), formulas.quantile(design.persons)),
    }


def main() -> None:
    """Print one line a design."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000, help="test parts of each design")
    simulations = parser.parse_args().simulations
    rng = np.random.default_rng(0)
    for place, design in enumerate(DESIGNS):
        found = simulate(design, simulations, rng)
        if not place:
            print("design", *found, sep=" | ")
        print(design.title, *(f"{100 * share:.0f} %" for share in found.values()), sep=" | ", flush=True)


if __name__ == "__main__":
    main()
