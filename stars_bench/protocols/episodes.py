"""N-way K-shot episodes: which classes, which labelled clips and which test clips (Vinyals et al., NeurIPS 2016).

In: the classes of the bank's and the test part's clips, in the order of their names. Out: row numbers. Drawing queries
needs the classes of test clips, so the protocol draws, and evaluations get only the drawn rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stars_bench.errors import UsageError

CLASSES, SUPPORT, QUERY = range(3)
"""Each is drawn from numbers of its own: the queries do not depend on the shots."""


@dataclass(frozen=True)
class Episodes:
    """E episodes of N classes with K labelled clips and Q test clips each.

    Args:
        classes: (E, N) labels.
        support: (E, N, K) rows of the bank: K clips of each class.
        query: (E, N * Q) rows of the test part, ascending, so that their order says nothing about their classes.
    """

    classes: NDArray[np.int64]
    support: NDArray[np.int64]
    query: NDArray[np.int64]

    @property
    def ways(self) -> int:
        """N, the classes of an episode."""
        return int(self.support.shape[1])

    @property
    def shots(self) -> int:
        """K, the labelled clips of each class."""
        return int(self.support.shape[2])


def draw_episodes(
    bank_labels: NDArray[np.int64],
    query_labels: NDArray[np.int64],
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
    seed: int,
) -> Episodes:
    """Draw episodes from the classes that have `shots` clips in the bank and `queries` in the test part.

    Clips are drawn without replacement within an episode. Rows stand in the order of clip names, so the draw depends on
    the set of clips and the arguments only. Where the same classes have enough clips, episodes of fewer shots have the
    same queries and the first of the same labelled clips, so shots are compared in pairs.

    Args:
        bank_labels: (B,) labels of the bank's clips, in the order of their names.
        query_labels: (T,) labels of the test clips, in the order of their names.
        ways: N, classes of an episode.
        shots: K, labelled clips of each class.
        queries: Q, test clips of each class.
        episodes: E.
        seed: Seed of the draw.

    Returns:
        The episodes.

    Raises:
        UsageError: Fewer classes than `ways` have enough clips.
    """
    in_bank, asked = (np.bincount(labels, minlength=1) for labels in (bank_labels, query_labels))
    both = min(len(in_bank), len(asked))
    able = np.flatnonzero((in_bank[:both] >= shots) & (asked[:both] >= queries))
    if len(able) < ways:
        raise UsageError(
            f"{ways}-way {shots}-shot episodes need {ways} classes with {shots} labelled and {queries} test clips; "
            f"{len(able)} have them: lower ways, shots or queries"
        )
    order = np.random.default_rng([seed, CLASSES]).random((episodes, len(able))).argsort(1)
    classes = able[order[:, :ways]]
    query = _draw(query_labels, classes, queries, (seed, QUERY))
    return Episodes(
        classes=classes,
        support=_draw(bank_labels, classes, shots, (seed, SUPPORT)),
        query=np.sort(query.reshape(episodes, -1), axis=1),
    )


def _draw(
    labels: NDArray[np.int64], classes: NDArray[np.int64], count: int, seed: tuple[int, int]
) -> NDArray[np.int64]:
    """Return rows (E, N, count) of clips of classes (E, N), drawn without replacement."""
    out = np.empty((*classes.shape, count), np.int64)
    for number in np.unique(classes):
        rows, drawn = np.flatnonzero(labels == number), classes == number
        ranks = np.random.default_rng([*seed, int(number)]).random((int(drawn.sum()), len(rows)))
        out[drawn] = rows[ranks.argsort(1)[:, :count]]
    return out
