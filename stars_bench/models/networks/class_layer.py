"""The last layer of a network that is trained to classify."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn


class ClassLayer(nn.Linear):
    """A linear layer to logits that takes its number of classes from the weights that it loads.

    A method's `build` makes a network for a checkpoint and cannot know how many classes that has.
    """

    def _load_from_state_dict(self, state_dict: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        bias = state_dict.get(f"{prefix}bias")
        if bias is not None and len(bias) != self.out_features:
            self.out_features = len(bias)
            self.weight = nn.Parameter(self.weight.new_empty(len(bias), self.in_features))
            self.bias = nn.Parameter(self.bias.new_empty(len(bias)))
        super()._load_from_state_dict(state_dict, prefix, *others)
