"""The options of `run` and `evaluate`: declared once, the same in both."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from stars_bench.cli import app
from stars_bench.cli.options import with_options
from stars_bench.cli.run import RunOptions
from stars_bench.experiments.request import TrainingOptions

SHARED = {field.name for field in fields(RunOptions)}
OWN = {"run": {"methods", "config", "init", "recipe", "stream", "validation"}, "evaluate": {"checkpoint"}}


def parameters(command: str) -> dict[str, dict[str, Any]]:
    group: Any = typer.main.get_command(app)
    return {parameter.name: facts(parameter) for parameter in group.commands[command].params}


def facts(parameter: Any) -> dict[str, Any]:
    """What a user sees of an option, and what it takes."""
    names = ("help", "opts", "default", "required", "multiple", "metavar", "envvar", "min", "is_flag")
    return {name: getattr(parameter, name, None) for name in names}


@pytest.mark.parametrize("command", OWN)
def test_a_command_has_the_shared_options_and_its_own(command: str) -> None:
    assert parameters(command).keys() - {"help"} == SHARED | OWN[command]


def test_both_commands_have_the_same_options_with_the_same_help() -> None:
    run, evaluate = parameters("run"), parameters("evaluate")
    for name in SHARED:
        assert run[name] == evaluate[name]
        assert run[name]["help"], f"--{name} says nothing of itself"


def test_every_training_option_can_be_given_and_has_the_same_default() -> None:
    defaults = {field.name: field.default for field in fields(RunOptions)}
    assert {field.name: defaults[field.name] for field in fields(TrainingOptions)} == {
        field.name: field.default for field in fields(TrainingOptions)
    } | {"log": None, "compile": None}  # a list, as Typer has them; and a word, which is left out


def test_options_reach_the_command_with_their_types() -> None:
    @dataclass(frozen=True)
    class Options:
        times: Annotated[int, typer.Option(min=1)]
        loud: Annotated[bool, typer.Option("--loud")] = False

    got: list[object] = []

    def command(name: str, options: Options) -> None:
        got.extend([name, options])

    command.__annotations__ = {"name": str, "options": Options, "return": None}  # the class is local to this test
    small = typer.Typer()
    small.command()(with_options(Options)(command))
    assert CliRunner().invoke(small, ["x", "--times", "2"]).exit_code == 0
    assert got == ["x", Options(2, False)]
    assert CliRunner().invoke(small, ["x", "--times", "0"]).exit_code == 2
    assert CliRunner().invoke(small, ["x"]).exit_code == 2
