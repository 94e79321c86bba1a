"""The small config that a plug-in is checked with: its preset `quick` with small sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from stars_bench.errors import of_validation, one_line
from stars_bench.testing.faults import Tell

PRESETS = ("paper", "quick")  # where a Config does not list its own
SMALL: Mapping[str, Any] = {
    "frames": 16,
    "dim": 16,
    "depth": 2,
    "heads": 2,
    "decoder_depth": 1,
    "mask_ratio": 0.5,
    "drop_path": 0.0,
    "epochs": 2,
    "warmup_epochs": 1,
    "head_epochs": 1,
    "tune_epochs": 2,
    "batch_size": 16,
    "tune_batch_size": 16,
    "queue_size": 40,
    "predictor_hidden": 16,
    "head_hidden": 16,
    "out_dim": 8,
    "feature_dim": 8,
    "channels": 2,
    "width": 8,
    "milestones": (1,),
    "mine_after": 1,
}
"""Settings of these names are made small where a plug-in has them; `settings=` of a check says otherwise."""


def small_config(plugin: Any, settings: Mapping[str, Any], check: str, tell: Tell) -> BaseModel | None:
    """Return the small config of a method or evaluation and check its presets; None if there is no config.

    Args:
        plugin: The class of the method or evaluation.
        settings: Settings that replace those of `SMALL`.
        check: The name of the check, whose `settings=` a fault may ask for.
        tell: Takes a fault, in one line.
    """
    name = getattr(plugin, "name", None)
    if not isinstance(name, str) or not name or name != name.strip():
        tell("has no `name` (a string)")
    config = getattr(plugin, "Config", None)
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        tell("Config is not a pydantic model (class MyConfig(BaseModel): ...)")
        return None
    values: dict[str, Any] = {}
    for preset in getattr(config, "presets", PRESETS):
        try:
            made: BaseModel = config.preset(preset, "ntu60") if hasattr(config, "preset") else config()
            again = config.model_validate(made.model_dump(mode="json"))
        except Exception as error:
            tell(f"preset {preset!r} cannot be made ({one_line(error)})")
            return None
        if again != made:
            tell(f"preset {preset!r} does not survive JSON, in which records keep it")
        values = made.model_dump()
    if unknown := set(settings) - set(config.model_fields):
        tell(f"settings: there is no {sorted(unknown)[0]!r}; Config has {', '.join(config.model_fields)}")
        return None
    values |= {key: value for key, value in SMALL.items() if key in values and not isinstance(values[key], str)}
    try:
        return config.model_validate(values | dict(settings))
    except ValidationError as error:
        tell(f"{of_validation(error, 'settings')}: give {check} small settings that fit")
        return None
