"""All 120 choreographies by action number, and the few that the quick start takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stars_bench.datasets.synthetic.actions.choreography import Choreography
from stars_bench.datasets.synthetic.actions.daily_actions import DAILY_ACTIONS
from stars_bench.datasets.synthetic.actions.first_actions import FIRST_ACTIONS
from stars_bench.datasets.synthetic.actions.mutual_actions import MUTUAL_ACTIONS

ACTIONS: Mapping[int, Choreography] = MappingProxyType(
    dict(sorted([*FIRST_ACTIONS.items(), *DAILY_ACTIONS.items(), *MUTUAL_ACTIONS.items()]))
)

# The quickstart's eighteen: thirteen for one person and five for two, chosen to be confusable.
DEFAULT_ACTIONS = (6, 7, 8, 9, 10, 23, 24, 26, 28, 33, 35, 38, 40, 50, 51, 52, 58, 60)
