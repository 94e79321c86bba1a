"""Which epoch of a stage that learns classes is kept: the best one on clips that it does not learn from.

After every epoch the module classifies the chosen clips (a look). The state of the best epoch, the first of equals, is
kept in memory and in the stage's checkpoint, and is the stage's result. No other epoch's state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from stars_bench.errors import StarsBenchError


@dataclass(frozen=True)
class Selection:
    """The clips that an epoch is chosen by. Their labels are read here, and by no method or evaluation.

    Args:
        rule: What the epoch is, as records say it: `best epoch on held-out subjects`.
        clips: Digest of the names of the clips.
        labels: (N,) their classes, on the device.
        classify: From a module that has `classify(x)` and `frames` to logits (N, classes) of the clips, for stages that
            bring no `Stage.classify` of their own.
        code: Functions that a choice depends on beside the stage's.
    """

    rule: str
    clips: str
    labels: Tensor
    classify: Callable[[nn.Module], Tensor]
    code: Sequence[object] = ()

    def accuracy(self, logits: Tensor) -> float:
        """Return the share of the clips that logits (N, classes) recognise.

        Raises:
            StarsBenchError: They are not one line a clip.
        """
        if logits.ndim != 2 or len(logits) != len(self.labels):
            raise StarsBenchError(f"classify gives shape {tuple(logits.shape)} for {len(self.labels)} clips")
        return float((logits.argmax(1) == self.labels).double().mean())
