"""Every entry of `scripts/mutations.toml` still says what it breaks; `scripts/mutate.py` tries them."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict, replace
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


SCRIPT = script()
MUTATIONS = SCRIPT.mutations()


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


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"file": "gone.py"}, "there is no gone.py"), ({"old": "nothing like this"}, "occurs 0 times")],
)
def test_an_entry_that_does_not_apply_says_so_and_stops_no_other(change, reason) -> None:
    _, outcome, _ = SCRIPT.tried(replace(MUTATIONS[0], **change))
    assert outcome.startswith("could not be tried")
    assert reason in outcome


def test_outcomes_are_those_of_the_entry_as_it_is_now(tmp_path) -> None:
    entries = [asdict(MUTATIONS[0]), asdict(replace(MUTATIONS[1], old="another text"))]
    file = tmp_path / "outcomes.jsonl"
    file.write_text("".join(json.dumps({"entry": one, "outcome": "seen"}) + "\n" for one in entries))
    assert SCRIPT.left_to_try(MUTATIONS[:2], file) == MUTATIONS[1:2]
