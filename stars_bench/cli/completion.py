"""What the shell offers where a name belongs: datasets, methods, protocols, evaluations, runs.

Install it with `stars-bench --install-completion`.
"""

from __future__ import annotations

from collections.abc import Iterator

from stars_bench import registry
from stars_bench.io.default_folders import data_folder, runs_folder
from stars_bench.io.run_folder import run_folders


def datasets(incomplete: str) -> list[str]:
    """Offer the datasets, described ones in the data folder included."""
    registry.add_data_dir(data_folder(None))
    return _named("datasets", incomplete)


def methods(incomplete: str) -> list[str]:
    """Offer the methods."""
    return _named("methods", incomplete)


def protocols(incomplete: str) -> list[str]:
    """Offer the protocols."""
    return _named("protocols", incomplete)


def evaluations(incomplete: str) -> list[str]:
    """Offer the evaluations, and all of them."""
    return [*_named("evaluations", incomplete), *(["all"] if "all".startswith(incomplete) else [])]


def kinds(incomplete: str) -> list[str]:
    """Offer what can be listed."""
    return [name for name in (*registry.BUILT_IN, "profiles", "presets", "runs") if name.startswith(incomplete)]


def runs(incomplete: str) -> list[str]:
    """Offer the runs in the runs folder; where none fits, the shell offers files."""
    return list(dict.fromkeys(one for one in _runs() if one.startswith(incomplete)))


def datasets_and_runs(incomplete: str) -> list[str]:
    """Offer datasets and runs."""
    return [*datasets(incomplete), *runs(incomplete)]


def _named(kind: str, incomplete: str) -> list[str]:
    return [name for name in registry.names(kind) if name.startswith(incomplete)]


def _runs() -> Iterator[str]:
    for folder in run_folders(runs_folder(None)):
        yield str(folder.run)
