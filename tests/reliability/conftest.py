"""Made-up raw files, prepared and packed, for tests that only read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.kill import made_up_raw


@pytest.fixture(scope="session")
def raw_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 raw files."""
    return made_up_raw(tmp_path_factory.mktemp("reliability") / "raw", 36)
