"""Every value of every preset and default is the official one, or is listed as ours: `official_settings.toml`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel

from stars_bench import registry
from stars_bench.api import Recipe
from stars_bench.training.loop import Stage
from tests.every_setting import fitted, small_settings

TABLE: dict[str, Any] = tomllib.loads((Path(__file__).parent / "official_settings.toml").read_text())
DATASETS = ("ntu60", "ntu120", "pku1", "pku2")
PLUGINS = [(kind, name) for kind in ("methods", "evaluations") for name in registry.names(kind)]
TRAINED = [(kind, name) for kind, name in PLUGINS if TABLE["stages_of"].get(name)]


def config_of(kind: str, name: str) -> type[BaseModel]:
    config: type[BaseModel] = registry.load(kind, name).Config
    return config


def presets_of(config: type[BaseModel]) -> tuple[str, ...]:
    own: tuple[str, ...] = getattr(config, "presets", ("paper", "quick") if hasattr(config, "preset") else ("paper",))
    return own


def made(config: type[BaseModel], preset: str, dataset: str) -> dict[str, Any]:
    chosen: BaseModel = config.preset(preset, dataset) if hasattr(config, "preset") else config()  # type: ignore[attr-defined]
    return chosen.model_dump(mode="json")


def groups(kind: str, name: str) -> Iterator[Mapping[str, Any]]:
    entry = TABLE[kind][name]
    for block in entry["of"]:
        yield {field: value for field, value in TABLE["blocks"][block].items() if field != "source"}
    yield entry.get("ours", {})


def official(kind: str, name: str, dataset: str) -> dict[str, Any]:
    """The values of the table; one that is given twice is an error of the table."""
    values: dict[str, Any] = {}
    for group in groups(kind, name):
        for field, value in group.items():
            if isinstance(value, dict) and dataset not in value:
                continue
            assert field not in values, f"{name}: {field} is given twice for {dataset}"
            chosen = value[dataset] if isinstance(value, dict) else value
            values[field] = None if chosen == "none" else chosen
    return values


def changes(name: str, preset: str) -> dict[str, Any]:
    if preset != "quick":
        changed: dict[str, Any] = TABLE["presets"].get(preset, {}).get(name, {})
        return changed
    entry = TABLE["quick"][name]
    blocks = [TABLE["quick_blocks"][block] for block in entry["of"]]
    own = {field: value for field, value in entry.items() if field != "of"}
    return {field: value for group in (*blocks, own) for field, value in group.items()}


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_value_of_every_preset_is_in_the_table(kind: str, name: str) -> None:
    config = config_of(kind, name)
    for dataset in DATASETS:
        values = official(kind, name, dataset)
        for preset in presets_of(config):
            assert made(config, preset, dataset) == values | changes(name, preset), f"{preset}, {dataset}"


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_defaults_are_the_official_settings_for_ntu60(kind: str, name: str) -> None:
    assert config_of(kind, name)().model_dump(mode="json") == official(kind, name, "ntu60")


@pytest.mark.parametrize("name", registry.names("methods"))
def test_every_value_of_the_own_recipe_is_in_the_table(name: str) -> None:
    recipe: Recipe | None = getattr(registry.load("methods", name), "recipe", None)
    assert (recipe is None) == (name not in TABLE["recipes"])
    if recipe is not None:
        expected: dict[str, Any] = {"profiles": {}, "clip_input": "resized", "settings": {}, "evaluations": {}}
        for block in TABLE["recipes"][name]:
            expected |= {key: value for key, value in TABLE["recipe_blocks"][block].items() if key != "source"}
        found = json.loads(json.dumps({key: getattr(recipe, key) for key in expected}))
        assert found == expected
        assert len(recipe.source) > 20
        assert registry.fact("methods", name, "recipe") == recipe  # lists and reports read it without importing it


def test_every_block_has_a_source_and_is_used() -> None:
    used = {block for kind in ("methods", "evaluations") for entry in TABLE[kind].values() for block in entry["of"]}
    assert used == set(TABLE["blocks"])
    assert {block for blocks in TABLE["recipes"].values() for block in blocks} == set(TABLE["recipe_blocks"])
    sourced = (*TABLE["blocks"].values(), *TABLE["stages"].values(), *TABLE["recipe_blocks"].values())
    assert all(len(block["source"]) > 20 for block in sourced)
    assert {preset for kind, name in PLUGINS for preset in presets_of(config_of(kind, name))} == {
        "paper",
        "quick",
        *TABLE["presets"],
    }


def decays(stage: Stage) -> dict[bool, set[float]]:
    """Weight decays of matrices (True) and of 1-D parameters (False)."""
    found: dict[bool, set[float]] = {True: set(), False: set()}
    for group in stage.optimizer.param_groups:
        for parameter in group["params"]:
            found[parameter.ndim > 1].add(group["weight_decay"])
    return found


@pytest.mark.parametrize(("kind", "name"), TRAINED)
def test_stages_have_the_official_optimiser(kind: str, name: str, tmp_path: Path) -> None:
    settings = small_settings(kind, name)
    stages = fitted(kind, name, settings, tmp_path).stages
    assert {stage.name: TABLE["stages_of"][name].get(stage.name) for stage in stages} == TABLE["stages_of"][name]
    for stage in stages:
        expected, groups = TABLE["stages"][TABLE["stages_of"][name][stage.name]], stage.optimizer.param_groups
        assert type(stage.optimizer) is getattr(torch.optim, expected["optimizer"])
        assert all(list(group["betas"]) == expected["betas"] for group in groups if "betas" in group)
        assert stage.gradient_scale == expected["gradient_scale"]
        assert (stage.clip_each is not None) == expected["clipped"]
        assert (stage.lr_factor is None) == expected["constant_rate"]
        found = decays(stage)
        if expected["decay"] == "none":
            assert found[True] | found[False] == {0.0}
        else:
            (decay,) = found[True]
            assert decay > 0
            assert found[False] == ({0.0} if expected["decay"] == "matrices" else {decay})


def test_every_plug_in_that_trains_is_in_the_table() -> None:
    without = {
        "knn",
        "retrieval",
        "semi",
        "classifier",
        "fewshot",
        "exemplar",
        "clusters",
    }  # semi trains finetune's stage
    assert {name for _, name in PLUGINS} - without == set(TABLE["stages_of"])
