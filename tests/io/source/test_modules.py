"""Modules are found without importing anything, wherever they lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stars_bench.io.source import modules


def test_a_package_in_nested_namespaces_is_found_though_nothing_of_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab_space" / "inner" / "deep").mkdir(parents=True)
    (tmp_path / "lab_space" / "inner" / "deep" / "layers.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = modules._spec("lab_space.inner.deep.layers")
    assert found is not None
    assert found.origin == str(tmp_path / "lab_space" / "inner" / "deep" / "layers.py")
    assert not [name for name in sys.modules if name.startswith("lab_space.")]
