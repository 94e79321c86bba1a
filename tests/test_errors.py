"""Any exception becomes one line: what is wrong and where, without what a terminal would obey."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stars_bench import errors
from stars_bench.errors import (
    StarsBenchError,
    UsageError,
    for_python,
    is_disk_full,
    of_validation,
    one_line,
    printable,
    python_terms,
)
from stars_bench.io.disk import full_is_told


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UsageError("odd\nname.skeleton: 3 joints; expected 25"), "odd name.skeleton: 3 joints; expected 25"),
        (StarsBenchError("x" * 1000), "x" * 1000),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a.toml"), "a.toml: No such file or directory"),
        (PermissionError(errno.EACCES, "Permission denied", Path("a")), "a: Permission denied"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "Broken pipe"),
        (OSError("not an HDF5 file"), "OSError: not an HDF5 file"),
        (ValueError("first\nsecond"), "ValueError: first"),
        (ValueError("\n  first\n"), "ValueError: first"),
        (ValueError("\x1b[31mred"), r"ValueError: \x1b[31mred"),
        (KeyError("joints"), "KeyError: 'joints'"),
        (ValueError(), "ValueError"),
        (
            SyntaxError("invalid syntax", ("idea.py", 3, 1, "x ==", None, None)),
            "SyntaxError: invalid syntax in idea.py:3",
        ),
    ],
)
def test_an_exception_in_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


@pytest.mark.parametrize(
    ("message", "terms"),
    [
        ("--stream bones: there are joint, bone", 'stream="bones": there are joint, bone'),
        ("--device cuda:1: only cuda:0 is there", 'device="cuda:1": only cuda:0 is there'),
        ("to use the CPU, leave out --device", "to use the CPU, leave out device"),
        ("--set lrr=1e-3: did you mean lr?", 'settings={"lrr": 1e-3}: did you mean lr?'),
        ("--set knn.k=[1, 2]: no", 'settings={"knn.k": [1, 2]}: no'),
        ("--set rule=best: no", 'settings={"rule": "best"}: no'),
        ("lower it with --set (lr, linear.lr)", "lower it with settings (lr, linear.lr)"),
        ("is there already; --force replaces it", "is there already; overwrite=True replaces it"),
        ("(--fit-batch finds the number)", "(fit_batch=True finds the number)"),
        ("--grad-accum 4 needs less", "grad_accum=4 needs less"),
        ("--grad-accum: cannot be divided", "grad_accum: cannot be divided"),
        ("more than the 9 clips: --set batch_size=N", 'more than the 9 clips: settings={"batch_size": N}'),
        ("with --eval clusters", 'with evaluations="clusters"'),
        ("run `stars-bench prepare ntu60 --force`, or give --raw PATH", None),
        ("run a method (stars-bench run stars --protocol xsub), then --baseline stars", None),
        ("S001 -- 3 files of a--b", "S001 -- 3 files of a--b"),
    ],
)
def test_options_become_arguments_and_commands_stay(message: str, terms: str | None) -> None:
    if terms is None:
        terms = message.replace("--raw PATH", "raw=PATH").replace("--baseline stars", 'baseline="stars"')
    assert python_terms(message) == terms


def test_a_public_function_fails_in_its_own_terms_and_keeps_its_cause() -> None:
    @for_python
    def fails(number: int) -> None:
        raise UsageError(f"--jobs {number}: at least 1") from ValueError("cause")

    with pytest.raises(UsageError, match=r"^jobs=0: at least 1$") as raised:
        fails(0)
    assert isinstance(raised.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out.h5"), "out.h5: the disk (or a quota) is full; "),
        (RuntimeError("write failed: errno = 28, error message = 'No space'"), "the disk (or a quota) is full; "),
    ],
)
def test_a_full_disk_says_what_to_do(error: Exception, start: str) -> None:
    assert is_disk_full(error)
    assert one_line(error).startswith(start)
    assert "make room" in one_line(error)


def test_another_error_is_no_full_disk() -> None:
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))
    assert not is_disk_full(ValueError("28"))


class Head(BaseModel):
    width: int = Field(8, ge=1)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    lr: float
    heads: list[Head] = []

    @field_validator("lr")
    @classmethod
    def _positive(cls, value: float) -> float:
        if value <= 0:
            raise ValueError("LR must be above 0, as in the paper")
        return value


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"lr": 1, "heads": [{}, {"width": 0}]},
            "a.toml: heads.1.width: input should be greater than or equal to 1 (got 0)",
        ),
        ({"lr": "x"}, "a.toml: lr: input should be a valid number, unable to parse string as a number (got 'x')"),
        ({"lr": 1, "heads": 3}, "a.toml: heads: a list, not one value: [3]"),
        ({"lr": 0}, "a.toml: lr: LR must be above 0, as in the paper"),
        ({}, "a.toml: lr: is missing"),
        ({"lr": 1, "width": 3}, "a.toml: width: there is no such key"),
        ({"lr": 1, "\x1b": 3}, r"a.toml: \x1b: there is no such key"),
        (3, "a.toml: input should be a valid dictionary or instance of Settings"),
    ],
)
def test_a_validation_error_in_one_line(values: Any, line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    assert of_validation(caught.value, "a.toml") == line


def test_a_long_value_is_cut() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"lr": "x" * 10_000})
    assert len(of_validation(caught.value, "a.toml")) < 250


def test_text_of_a_file_is_shown_without_control_characters() -> None:
    assert printable("a\nb\x07") == r"a\nb\x07"
    assert printable("x" * 300) == "x" * 200
    assert printable("x" * 300, 10) == "x" * 10


def test_a_file_that_could_not_be_read_is_not_said_to_be_unwritable(tmp_path: Path) -> None:
    out, shard = tmp_path / "out" / "clips.npz", tmp_path / "data" / "shard-00000.h5"
    shard.parent.mkdir()
    shard.touch()
    read = errors.not_written(out, OSError(errno.EIO, "Input/output error", str(shard)))
    assert str(read).startswith(f"{shard}: cannot be read now (Input/output error)")
    for written in (OSError(errno.EROFS, "Read-only", str(out)), OSError(errno.EACCES, "Refused", str(tmp_path))):
        assert str(errors.not_written(out, written)) == f"{out}: cannot be written ({written.strerror})"


def test_a_disk_that_fails_while_torch_writes_is_not_said_to_be_full(tmp_path: Path) -> None:
    for number, told in ((errno.EIO, "could not be written (Input/output error)"), (errno.ENOSPC, "the disk is full")):
        wrapped = RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0")
        wrapped.__context__ = OSError(number, os.strerror(number))
        with pytest.raises(StarsBenchError, match=re.escape(told)), full_is_told(tmp_path / "x.pt"):
            raise wrapped
