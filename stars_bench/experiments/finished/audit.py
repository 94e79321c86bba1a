"""Whether a run is what its records say: every digest, every metric, weights, features, clips and data looked at again.

In: a run's folder and the data folder. Out: one line for each thing that does not match, or could not be looked at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from stars_bench import registry
from stars_bench.api import Split
from stars_bench.errors import StarsBenchError, UsageError, disk_failed
from stars_bench.evaluation import feature_cache
from stars_bench.experiments import pretrained
from stars_bench.experiments.finished import rescore
from stars_bench.experiments.finished.derive import Derived, differing
from stars_bench.experiments.finished.rescore import Saved
from stars_bench.io.files import digest_file, digest_lines
from stars_bench.io.run_folder import RunFolder
from stars_bench.preparation import verify
from stars_bench.protocols.splits import config_of, split_of
from stars_bench.records import store
from stars_bench.records.doubts import doubts
from stars_bench.records.record import SEALED_SINCE, Metric, Record
from stars_bench.storage.shards import PreparedDataset, open_dataset
from stars_bench.training import checkpoint
from stars_bench.training.loop import Progress


@dataclass
class Audit:
    """The result of an audit.

    Args:
        looked_at: Number of files that were checked, by kind. Default: none.
        faults: What does not match, one line each. Default: none.
        skipped: What could not be checked, one line each. Default: none.
    """

    looked_at: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """What was looked at, and how many of it."""
        return list(self.looked_at.items())

    def fault(self, line: str) -> None:
        """Note what does not match; each line once, though several records may rest on one thing."""
        if line not in self.faults:
            self.faults.append(line)

    def unreadable(self, error: StarsBenchError) -> None:
        """Note a file that is not what it should be; a disk that fails says nothing of it, and ends the audit."""
        if disk_failed(error.__cause__):
            raise error
        self.fault(str(error))

    def skip(self, line: str) -> None:
        """Note what could not be looked at, once."""
        if line not in self.skipped:
            self.skipped.append(line)


def audit(run: Path, data_dir: Path, progress: Progress | None = None) -> Audit:
    """Look at all that lies below a folder (runs, a run, a seed).

    Raises:
        UsageError: There are no records.
    """
    return _audit(run, _Data(data_dir, progress))


def audit_each(runs: Iterable[Path], data_dir: Path, progress: Progress | None = None) -> Iterator[tuple[Path, Audit]]:
    """Yield each of several folders with what `audit` finds in it; data are read once for all."""
    data = _Data(data_dir, progress)
    for run in runs:
        yield run, _audit(run, data)


def _audit(run: Path, data: _Data) -> Audit:
    result = Audit()
    for path in rescore.record_paths(run):
        result.looked_at["records"] += 1
        try:
            record = store.read_record(path)
        except StarsBenchError as error:
            result.unreadable(error)
            continue
        _look_at_stages(record, RunFolder.of_record(path), result)
        found = _look_at_data(record, path, data, result)
        _look_at_fields(Derived(record, path, data.data_dir, *found), result)
        try:
            one = rescore.read_one(path)
            _look_at_predictions(one, data, result)
            _look_at_doubts(one, *found, result)
            _look_at_sum(one, result)
        except StarsBenchError as error:
            result.unreadable(error)
    for folder in dict.fromkeys(map(RunFolder.of_record, rescore.record_paths(run))):
        _look_at_features(folder, result)
    return result


def _look_at_fields(one: Derived, result: Audit) -> None:
    """Compare every field of a record with what it must be, and the whole with its own checksum."""
    where = one.path
    if (line := store.edited(where, one.record)) != "":
        result.fault(line)
    if one.record.schema_version < SEALED_SINCE:
        version = one.record.schema_version
        result.skip(f"{where}: fields: the record is of schema {version}, which has no checksum of itself")
        return
    for line in one.differences():
        result.fault(f"{where}: {line}")
    for line in one.not_derived():
        result.skip(line)


# ------------------------------------------------------------------------------------------------ weights


def _look_at_stages(record: Record, folder: RunFolder, result: Audit) -> None:
    for stage in record.stages:
        files = folder.stage_files(stage.name, stage.key)
        if not files and folder.packed.exists():
            result.skip(f"{folder.path}: checkpoints of stages: a pack has none")
            continue
        result.looked_at["stage checkpoints"] += 1
        if not files:
            result.fault(f"{folder.stages}: the checkpoint of {stage.name} is gone ({record.file_name} names it)")
        elif stage.checkpoint_digest not in map(digest_file, files):
            result.fault(f"{files[0]}: is not the checkpoint that {record.file_name} names (its digest differs)")
    file = pretrained.encoder_file(folder) or folder.encoder
    if record.weights is None:
        result.skip(f"{folder.path}: weights: {record.file_name} is fused or of an older version, and names none")
    elif file.exists():
        result.looked_at["encoders"] += 1
        try:
            weights = checkpoint.digest_tensors(pretrained.content_of(file)["encoder"])
        except (StarsBenchError, KeyError) as error:
            result.fault(f"{file}: {error}" if isinstance(error, KeyError) else str(error))
        else:
            if weights != record.weights:
                result.fault(f"{file}: is not the encoder that the records are of (its weights differ)")
    elif record.init is None:
        result.fault(f"{file}: is gone")


# ---------------------------------------------------------------------------------- predictions, features


def _look_at_predictions(one: Saved, data: _Data, result: Audit) -> None:
    record, where = one.record, one.path
    result.looked_at["predictions"] += 1
    if digest_lines(one.names.tolist()) != record.protocol.test_digest:
        result.fault(f"{where}: the predictions are of other clips than the record's test part")
    dataset = data.of(record, where)
    if dataset is not None:
        labels = dict(zip(dataset.table["name"], dataset.table["label"], strict=True))
        wrong = sum(labels.get(name) != label for name, label in zip(one.names.tolist(), one.labels, strict=True))
        if wrong:
            result.fault(f"{where}: {wrong:,} of {len(one.names):,} labels are not those of {dataset.folder}")
    again = one.measured()
    result.looked_at["metrics"] += len(record.metrics)
    if record.schema_version < SEALED_SINCE:
        result.skip(f"{where}: intervals: the record is of an older version, whose clips counted as independent")
    for line in _other_metrics(record, again):
        result.fault(f"{where}: {line}")
    if again.per_class != record.per_class and (record.per_class is not None or record.schema_version >= SEALED_SINCE):
        result.fault(f"{where}: the accuracies by class are not the recorded ones")


def _look_at_doubts(one: Saved, dataset: PreparedDataset | None, split: Split | None, result: Audit) -> None:
    if dataset is None or split is None or one.record.schema_version < SEALED_SINCE:
        return
    labelled = dataset.table["label"].to_numpy()[split.labelled]
    for line in differing(one.record.doubts, doubts(one.outcome, one.labels, labelled), "doubts", "the predictions"):
        result.fault(f"{one.path}: {line}")


def _look_at_sum(one: Saved, result: Audit) -> None:
    if not one.record.fused:
        return
    try:
        if line := rescore.difference_of_sum(one):
            result.fault(f"{one.path}: {line}")
        result.looked_at["sums"] += 1
    except UsageError as error:
        result.skip(str(error))


def _other_metrics(record: Record, again: Record) -> Iterator[str]:
    """Yield a line for each metric that is another when it is computed again; older records may lack some."""
    computed = {metric.name: metric for metric in again.metrics}
    for metric in record.metrics:
        anew = computed.pop(metric.name, None)
        if anew is None:
            yield f"{metric.name} cannot be computed from the predictions"
        elif abs(anew.value - metric.value) > rescore.TOLERANCE or (anew.n, anew.unit) != (metric.n, metric.unit):
            told = (f"{one.value:.4f} {one.unit} over {one.n:,}" for one in (anew, metric))
            yield f"{metric.name} is {next(told)}, recorded {next(told)}"
        elif record.schema_version >= SEALED_SINCE and _other_intervals(metric, anew):
            yield f"the interval of {metric.name} is not the recorded one"
    if record.schema_version >= SEALED_SINCE:
        yield from (f"{name} is not in it, but can be computed from the predictions" for name in computed)


def _other_intervals(recorded: Metric, anew: Metric) -> bool:
    """Whether another unit was sampled, or a number of an interval is another."""
    fields = {"interval", "intervals"}
    return any(differing(recorded.model_dump(include=fields), anew.model_dump(include=fields), "", ""))


def _look_at_features(folder: RunFolder, result: Audit) -> None:
    """Check the files of features: each carries its own digest (`io.sealed`), and in its name that of its clips."""
    for file in sorted(folder.features.glob("*.npz")):
        result.looked_at["feature files"] += 1
        try:
            names, features = feature_cache.read(file)
        except StarsBenchError as error:
            result.unreadable(error)
            continue
        if digest_lines(names.tolist())[:8] != file.stem.rpartition("-")[2] or len(names) != len(features):
            result.fault(f"{file}: holds other clips than its name says; delete it, and it is made again")
        elif not np.isfinite(features).all():
            result.fault(f"{file}: holds numbers that are not finite; delete it, and it is made again")


# --------------------------------------------------------------------------------------------------- data


@dataclass
class _Data:
    """Prepared datasets and their splits, opened and verified once."""

    data_dir: Path
    progress: Progress | None
    opened: dict[tuple[str, str], PreparedDataset | str] = field(default_factory=dict)
    faults: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)

    def of(self, record: Record, path: Path) -> PreparedDataset | None:
        """Return the dataset, if it is the one that the record (in the file `path`) was measured on."""
        found = self.find(record, path)
        return None if isinstance(found, str) or found.digest != record.dataset.digest else found

    def find(self, record: Record, path: Path) -> PreparedDataset | str:
        """Return the dataset of that name and profile, or why it cannot be opened."""
        key = record.dataset.name, record.dataset.profile
        if key not in self.opened:
            try:
                registry.check_from_file("datasets", record.dataset.name, path)
                dataset = open_dataset(self.data_dir, *key)
                self.opened[key] = dataset
                self.faults[key] = verify.verify(dataset, progress=self.progress).faults
            except StarsBenchError as error:
                self.opened[key] = str(error)
        return self.opened[key]


def _look_at_data(
    record: Record, path: Path, data: _Data, result: Audit
) -> tuple[PreparedDataset | None, Split | None]:
    """Return the dataset and its split, where they are those of the record."""
    found, part = data.find(record, path), record.dataset
    if isinstance(found, str):
        result.skip(f"data and lists of clips: {found}")
        return None, None
    if found.digest != part.digest:
        result.fault(
            f"{path}: was measured on other data than the prepared {part.name} ({part.profile}) in {data.data_dir} "
            f"(digests {part.digest[:8]} / {found.digest[:8]})"
        )
        return None, None
    result.looked_at["lists of clips"] += 1
    for fault in data.faults[part.name, part.profile]:
        result.fault(fault)
    try:
        split = _split(record, path, found)
    except UsageError as error:
        result.skip(f"{path}: lists of clips: {error}")
        return None, None
    names, protocol = found.table["name"].to_numpy(dtype=str), record.protocol
    lists = [("training", protocol.train_digest, split.train), ("test", protocol.test_digest, split.test)]
    lists += [] if split.bank is None else [("bank", protocol.bank_digest or "", split.bank)]
    for name, digest, rows in lists:
        if digest_lines(names[rows]) != digest:
            result.fault(f"{path}: {protocol.name} now gives another {name} part than the record's")
            return None, None
    return found, split


def _split(record: Record, path: Path, dataset: PreparedDataset) -> Split:
    registry.check_from_file("protocols", record.protocol.name, path)
    spec = registry.load("protocols", record.protocol.name)
    config = config_of(spec, record.protocol.config)
    return split_of(dataset, spec, config, record.protocol.validation, record.seed)
