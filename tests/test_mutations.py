"""Every entry of `scripts/mutations.toml` still says what it breaks; `scripts/mutate.py` tries them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.paths import ROOT


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mutate", ROOT / "scripts" / "mutate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


MUTATIONS = script().mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_its_text_occurs_once_and_the_change_is_python(mutation) -> None:
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    changed = mutation.applied(text)
    assert changed != text
    compile(changed, mutation.file, "exec")
    for test in mutation.tests:
        file, _, function = test.partition("::")
        assert function.partition("[")[0] in Path(ROOT, file).read_text(encoding="utf-8")


def test_there_are_enough_of_them() -> None:
    assert len(MUTATIONS) >= 60


def test_a_text_that_is_gone_is_an_error() -> None:
    with pytest.raises(ValueError, match="occurs 0 times"):
        MUTATIONS[0].applied("nothing")
