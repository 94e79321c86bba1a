"""The one way from prepared data to a Split: the protocol's rule and settings, published counts, a validation part.

Every reader of a split calls `split_of`: runs, the PyTorch datasets, `verify` of a run's records, and the check of what
an official checkpoint was trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import pandas as pd
from pydantic import BaseModel, ValidationError

from stars_bench.api import ProtocolSpec, Select, Split
from stars_bench.errors import StarsBenchError, UsageError, of_validation
from stars_bench.protocols.validation import hold_out

VALIDATIONS = ("subjects",)
"""What may be held out of the training part in place of the test part."""


LAST: Final = "last"
VALIDATION: Final = "validation"
BEST_ON_TEST: Final = "best-on-test"


class DatasetFacts(Protocol):
    """What a split depends on: a dataset's name, its clip table, and whether the table is the whole dataset."""

    @property
    def name(self) -> str:
        """Name of the dataset."""

    @property
    def table(self) -> pd.DataFrame:
        """The clip table, one row a clip."""

    @property
    def complete(self) -> bool:
        """Whether the table has all clips of the dataset."""


def split_of(
    dataset: DatasetFacts,
    protocol: ProtocolSpec,
    config: BaseModel | None = None,
    validation: str | None = None,
    seed: int = 0,
) -> Split:
    """Split a dataset by a protocol, with its counts checked where the dataset is complete.

    Args:
        dataset: Name, clip table and completeness; a `PreparedDataset` has them.
        protocol: The protocol.
        config: The protocol's settings (`config_of`). Default: None, the protocol's defaults.
        validation: "subjects" to test on training subjects that are held out. Default: None, test on the test part.
        seed: Draws the subjects that are held out. Default: 0.

    Returns:
        Row numbers of the clip table.

    Raises:
        UsageError: There is no such validation part, the protocol tests other classes and so has none, or the seed
            is negative.
        StarsBenchError: A part is empty, or a complete dataset does not give the published counts.
    """
    if validation not in (None, *VALIDATIONS):
        raise UsageError(f"validation {validation!r}: there is {', '.join(map(repr, VALIDATIONS))}")
    split = make_split(protocol, dataset.name, dataset.table, dataset.complete, config)
    if validation is None:
        return split
    if split.bank is not None:
        raise UsageError(
            f"validation {validation!r} is not for {protocol.name}, which tests other classes: choose settings on xsub"
        )
    if seed < 0:
        raise UsageError(f"seed={seed}: a whole number, at least 0")
    return hold_out(dataset.table, split, seed=seed)


def selection_part(
    dataset: DatasetFacts, protocol: ProtocolSpec, split: Split, select: Select, seed: int = 0
) -> Split | None:
    """Find the clips that an epoch is chosen by, and those that train then.

    Args:
        dataset: Name, clip table and completeness.
        protocol: The protocol; its `held_out` names what is held out.
        split: The split.
        select: How the epoch is chosen.
        seed: Draws what is held out. Default: 0.

    Returns:
        What trains, and as its test part what the epoch is chosen by: held-out training clips, where both parts have
        every class of the training part, or the test part. None: the last epoch counts.

    Raises:
        UsageError: The protocol names nothing to hold out.
        StarsBenchError: No such part can be drawn from the training clips.
    """
    if select != VALIDATION:
        return None if select == LAST else Split(split.train, split.test)
    if protocol.held_out is None:
        raise UsageError(
            f"--select {VALIDATION}: protocol {protocol.name} does not say what to hold out (ProtocolSpec.held_out): "
            f"take --select {LAST}"
        )
    return hold_out(dataset.table, split, protocol.held_out, seed, every_class=True)


def config_of(protocol: ProtocolSpec, settings: Mapping[str, Any]) -> BaseModel | None:
    """Validate a protocol's settings.

    Args:
        protocol: The protocol.
        settings: Values by name; a setting that is left out has its default.

    Returns:
        The config; None if the protocol has no settings.

    Raises:
        UsageError: The protocol has no settings, or a setting is wrong.
    """
    if protocol.Config is None:
        if settings:
            raise UsageError(f"settings {dict(settings)}: {protocol.name} has none")
        return None
    try:
        return protocol.Config.model_validate(dict(settings))
    except ValidationError as error:
        raise UsageError(of_validation(error, protocol.name)) from error


def clips_in_no_part(split: Split, num_clips: int) -> int:
    """Count the clips of a dataset that are in neither part and not in the bank."""
    return num_clips - len(split.train) - len(split.test) - (0 if split.bank is None else len(split.bank))


def make_split(
    spec: ProtocolSpec, dataset: str, table: pd.DataFrame, complete: bool, config: BaseModel | None = None
) -> Split:
    """Return the split of a prepared dataset, with its counts checked where the dataset is complete.

    Args:
        spec: The protocol.
        dataset: Name of the dataset.
        table: The clip table.
        complete: Whether the table has all clips of the dataset.
        config: The protocol's settings. Default: None, the protocol's defaults.

    Raises:
        StarsBenchError: A part is empty, or a complete dataset does not give the published counts.
    """
    split = compute_split(spec, table, config)
    column = f"official_{spec.name}"
    if column in table and not (table[column] != "").any():
        raise StarsBenchError(
            f"{dataset} {spec.name}: no official split file was among the raw files: add "
            f"{_split_file(spec.name, dataset)} and prepare again"
        )
    parts = {"training part": split.train, "test part": split.test, "bank": split.labelled}
    for part, ids in parts.items():
        if not len(ids):
            raise StarsBenchError(
                f"{dataset} {spec.name}: no clip of the prepared data is in the {part} ({spec.rule}); "
                "prepare more of the dataset"
            )
    if complete and column in table:
        _check_videos(spec.name, dataset, table)
    if complete and dataset in spec.expected and (config is None or spec.Config is None or config == spec.Config()):
        counts = (len(split.train), len(split.test), *([] if split.bank is None else [len(split.bank)]))
        expected = (*spec.expected[dataset], *([] if split.bank is None else [spec.expected_bank[dataset]]))
        if counts != expected:
            raise StarsBenchError(f"{dataset} {spec.name}: {counts} clips, published are {expected}")
    return split


def compute_split(spec: ProtocolSpec, table: pd.DataFrame, config: BaseModel | None = None) -> Split:
    """Return the split that a protocol gives, unchecked; None as `config` stands for the protocol's defaults."""
    return spec.split(table) if spec.Config is None else spec.split(table, config or spec.Config())


PKU1_VIDEOS = {"xsub": (944, 132), "xview": (717, 359)}
"""Training and test videos of PKU-MMD I's official split files."""


def _split_file(protocol: str, dataset: str) -> str:
    """Return the name of the official split file of a PKU-MMD phase."""
    name = {"xsub": "cross-subject", "xview": "cross-view"}.get(protocol, protocol)
    return f"{name.replace('-', '_')}_v2.txt" if dataset == "pku2" else f"{name}.txt"


def _check_videos(protocol: str, dataset: str, table: pd.DataFrame) -> None:
    videos = table.drop_duplicates("item")[f"official_{protocol}"].value_counts()
    counts = (int(videos.get("train", 0)), int(videos.get("test", 0)))
    if dataset == "pku1" and counts != PKU1_VIDEOS[protocol]:
        raise StarsBenchError(f"{dataset} {protocol}: {counts} videos, published are {PKU1_VIDEOS[protocol]}")
