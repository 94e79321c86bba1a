"""Every setting of every method and evaluation does something: another value gives another result."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from stars_bench import registry
from stars_bench.models.mamp import MampConfig
from tests.every_setting import OTHER, another, changed_by, fitted, small_settings

PLUGINS = [(kind, name) for kind in ("methods", "evaluations") for name in registry.names(kind)]
TUNINGS = ("stars", "stars+flip", "stars-3stage", "moco-tuning", "dino-tuning")
"""Their first stage is mamp's, and the settings of that are tried there."""
SETTINGS = [
    (*plugin, setting)
    for plugin in PLUGINS
    for setting in registry.load(*plugin).Config.model_fields
    if plugin[1] not in TUNINGS or setting not in MampConfig.model_fields
]


@pytest.fixture(scope="session")
def as_it_is(tmp_path_factory: pytest.TempPathFactory):
    """The digest of what a plug-in gives under its small settings."""

    @cache
    def digest(kind: str, name: str) -> str:
        return fitted(kind, name, small_settings(kind, name), tmp_path_factory.mktemp("plugin")).digest

    return digest


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_the_same_settings_give_the_same_result(kind: str, name: str, as_it_is, tmp_path: Path) -> None:
    assert fitted(kind, name, small_settings(kind, name), tmp_path).digest == as_it_is(kind, name)


@pytest.mark.parametrize(("kind", "name", "setting"), SETTINGS)
def test_another_value_gives_another_result(kind: str, name: str, setting: str, as_it_is, tmp_path: Path) -> None:
    settings = another(small_settings(kind, name), setting)
    assert fitted(kind, name, settings, tmp_path).digest != as_it_is(kind, name)


@pytest.mark.parametrize("name", TUNINGS)
def test_the_first_stage_of_a_tuning_is_that_of_mamp_under_all_of_its_settings(name: str, tmp_path: Path) -> None:
    changed = {setting: OTHER[setting] for setting in MampConfig.model_fields}
    methods = (("methods", "mamp"), ("methods", name))
    of_mamp, of_tuning = (fitted(*method, changed_by(small_settings(*method), changed), tmp_path) for method in methods)
    assert of_tuning.logs[0] == of_mamp.logs[0]
    assert {key: of_tuning.stages[0].config[key] for key in MampConfig.model_fields} == changed


def test_every_setting_has_another_value_and_no_other_has() -> None:
    assert {setting for *_, setting in SETTINGS} == set(OTHER)
