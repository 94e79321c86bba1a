"""The t-SNE picture: features that runs have kept, one panel a run, with the numbers of the `clusters` evaluation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.evaluation.clusters import tsne_map
from stars_bench.evaluation.feature_cache import FeatureFiles
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.finished.rescore import Saved
from stars_bench.io.files import write_json, write_text
from stars_bench.io.outputs import output_file
from stars_bench.io.run_folder import seeds_of
from stars_bench.report.figures.maps import Map, draw_maps
from stars_bench.report.html_data import MapPoints
from stars_bench.storage.shards import open_dataset
from stars_bench.viewer.thumbnails import KeptSkeletons, small_skeletons

SUFFIXES = (".png", ".svg")
"""Of the two files of a map."""


@dataclass(frozen=True)
class Drawn:
    """The files of a map.

    Args:
        pictures: The pictures.
        without_skeletons: Why no skeletons are stored beside it; None or empty if they are.
    """

    pictures: tuple[Path, ...]
    without_skeletons: str = ""


def draw(runs: Sequence[Path], seed: int, out: Path, data_dir: Path | None = None, *, overwrite: bool = False) -> Drawn:
    """Draw the test clips of runs under one seed, PNG and SVG.

    The places of the clips are kept beside each record, for the HTML report, and small skeletons of the clips where
    their data is prepared in `data_dir` (None: no skeletons).

    `overwrite`: replace pictures that `map` did not write; default no.

    Raises:
        UsageError: A picture is there that `map` did not write, a run has no `clusters` result under the seed, the runs
            are of different data, features are gone.
    """
    pictures = [out.with_suffix(suffix) for suffix in SUFFIXES]
    files = [output_file(picture, "map", overwrite=overwrite) for picture in pictures]
    results = [_clusters(run, seed) for run in runs]
    places = {(one.record.dataset.name, one.record.protocol.name) for one in results}
    if len(places) > 1:
        raise UsageError(
            f"map: the runs are of different data ({', '.join(' '.join(place) for place in sorted(places))})"
        )
    dataset, protocol = places.pop()
    registry.check_from_file("datasets", dataset, results[0].path)
    names = registry.load("datasets", dataset).classes
    maps, why = [], ""
    for one in results:
        panel, points = _map(one, names)
        maps.append(panel)
        # Beside the record, where `report --format html` looks for it.
        write_json(one.folder.map_file(one.path), points.model_dump())
        skeletons, why = _skeletons(one, points.names, data_dir)
        if skeletons is not None:
            write_text(one.folder.skeleton_file(one.path), skeletons.model_dump_json())
    classes = dict(enumerate(names))
    count = len({int(label) for panel in maps for label in panel.labels})
    title = f"{dataset} {protocol}, test clips of {count} classes, t-SNE of features"
    draw_maps(maps, classes, files, title)
    return Drawn(tuple(pictures), why)


def _skeletons(one: Saved, names: Sequence[str], data_dir: Path | None) -> tuple[KeptSkeletons | None, str]:
    """Return skeletons of the clips that a record was measured on, or why there are none."""
    if data_dir is None:
        return None, ""
    data = one.record.dataset
    try:
        dataset = open_dataset(data_dir, data.name, data.profile)
    except UsageError as error:
        return None, str(error)
    if dataset.digest != data.digest:
        return None, f"{dataset.folder} is not the data that {one.path.name} was measured on (its digest differs)"
    return small_skeletons(dataset, names), ""


def _clusters(run: Path, seed: int) -> Saved:
    there = seeds_of(run)
    folders = there if len(there) == 1 else [folder for folder in there if folder.seed == seed]
    found = [path for folder in folders for path in folder.record_files() if path.name.startswith("clusters")]
    if not found:
        raise UsageError(f"{run}: no result of `clusters` with seed {seed}: run the method with --eval clusters")
    return rescore.read_one(found[-1])


def _map(one: Saved, classes: Sequence[str]) -> tuple[Map, MapPoints]:
    features = _features(one)
    coordinates, rows = tsne_map(features, one.labels)
    numbers = {metric.name: metric.value for metric in one.record.metrics}
    caption = ", ".join(f"{name} {numbers[name]:.2f}" for name in ("nmi", "silhouette") if name in numbers)
    name = one.record.method.name
    title = f"{name} ({one.record.origin})" if one.record.origin else name
    points = MapPoints(
        title=f"{title}, seed {one.record.seed}",
        caption=caption,
        points=[(round(float(x), 3), round(float(y), 3)) for x, y in coordinates],
        names=one.names[rows].astype(str).tolist(),
        labels=one.labels[rows].tolist(),
        classes=list(classes),
    )
    return Map(title, coordinates, one.labels[rows], caption), points


def _features(one: Saved) -> np.ndarray:
    """Return features (N, D) of the test clips, from the run's own folder or one that shares its encoder."""
    features_of_crop = one.folder.feature_files(f"crop{one.record.evaluation.config['crop']:g}", everywhere=False)
    for key in sorted({"-".join(file.name.split("-")[:2]) for file in features_of_crop}):
        tell = logging.getLogger(__name__).warning
        features, there = FeatureFiles(one.folder, key, reuse=True, tell=tell).find(one.names.astype(str))
        if there.all():
            return features
    raise UsageError(f"{one.folder.features}: the features of the test clips are gone: run --eval clusters again")
