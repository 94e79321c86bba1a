"""Names to objects: all that ships can be loaded, the nearest name is suggested, `module:Class` works."""

from __future__ import annotations

import pytest

from stars_bench import registry
from stars_bench.errors import UsageError


@pytest.mark.parametrize("kind", list(registry.BUILT_IN))
def test_everything_registered_can_be_loaded(kind: str) -> None:
    for name in registry.names(kind):
        assert registry.load(kind, name).name == name


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'stars'"):
        registry.load("methods", "star")


def test_a_method_can_be_named_by_module_and_class() -> None:
    assert registry.load("methods", "stars_bench.models.stars:Stars").name == "stars"
    with pytest.raises(UsageError, match="no module 'nowhere'"):
        registry.load("methods", "nowhere:Stars")
    with pytest.raises(UsageError, match="has no 'Nothing'"):
        registry.load("methods", "stars_bench.models.stars:Nothing")
