"""How a user says a setting of a stage on the command line, for messages that tell what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stars_bench import registry

if TYPE_CHECKING:
    from stars_bench.training.stage import Stage


def settings_named(stage: Stage, ending: str) -> str:
    """`--set tune_lr=N`: the settings of a stage whose names are `ending` or end in _`ending`."""
    keys = [key for key in stage.config if key == ending or key.endswith(f"_{ending}")]
    shown = [key for key in keys if not key.startswith("min_")] or [ending]
    owners = [name for name in registry.names("evaluations") if stage.name == name or stage.name.startswith(f"{name}-")]
    owner = f"{owners[0]}." if owners else ""
    return " or ".join(f"--set {owner}{key}=N" for key in shown)
