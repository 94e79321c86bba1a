"""What `--recipe` makes of a request: nothing under `common`, data and settings of the method's own paper under `own`.

A method whose own recipe is the common one is the same run under both names.
"""

from __future__ import annotations

from collections.abc import Mapping

from stars_bench.api import Method, Recipe
from stars_bench.errors import UsageError
from stars_bench.experiments.request import Request
from stars_bench.records.record import RecipeName
from stars_bench.storage.shards import PreparedDataset, open_dataset

RECIPES = ("common", "own")


def chosen(request: Request, method: type[Method]) -> Recipe | None:  # type: ignore[type-arg]
    """Return the recipe by which a run differs from the common one; None where it does not.

    Raises:
        UsageError: There is no such recipe, or the method does not say what its own is.
    """
    if request.recipe not in RECIPES:
        raise UsageError(f"--recipe {request.recipe}: there are {', '.join(RECIPES)}")
    own = declared(method)
    if request.recipe == "common":
        return None
    if own is None:
        raise UsageError(f"--recipe own: {method.name} has no paper with a recipe of its own; leave --recipe out")
    return None if own.is_common else own


def declared(method: type[Method]) -> Recipe | None:  # type: ignore[type-arg]
    """Return the recipe that a method's class names.

    Raises:
        UsageError: It names something else.
    """
    own = getattr(method, "recipe", None)
    if own is not None and not isinstance(own, Recipe):
        raise UsageError(f"{method.name}: recipe must be a stars_bench.api.Recipe, not a {type(own).__name__}")
    return own


def name_of(recipe: Recipe | None, method: type[Method]) -> RecipeName:  # type: ignore[type-arg]
    """Return what records call the recipe of a run: `both` where the method's own is the common one."""
    own = declared(method)
    if recipe is not None:
        return "own"
    return "both" if own is not None and own.is_common else "common"


def changes(recipe: Recipe | None, evaluation: str | None = None) -> Mapping[str, object]:
    """Return the settings that a recipe changes: of an evaluation, or of the method."""
    if recipe is None:
        return {}
    return recipe.settings if evaluation is None else recipe.evaluations.get(evaluation, {})


def open_for(recipe: Recipe, request: Request, name: str, method: str) -> PreparedDataset:
    """Open a dataset as a recipe wants it.

    Raises:
        UsageError: The recipe is not for this dataset, the user asks for another cleaning, or it is not prepared so.
    """
    if not recipe.profiles:
        return open_dataset(request.data_dir, name, request.profile)
    if name not in recipe.profiles:
        known = ", ".join(recipe.profiles)
        raise UsageError(f"--recipe own: that of {method} is known for {known}, not for {name}; leave --recipe out")
    profile = recipe.profiles[name]
    if request.profile not in (None, profile):
        raise UsageError(
            f"--profile {request.profile}: the recipe of {method} rests on {profile}; leave --profile or --recipe out"
        )
    try:
        return open_dataset(request.data_dir, name, profile)
    except UsageError as error:
        raise UsageError(f"--recipe own: {method}'s paper rests on the profile {profile}: {error}") from error
