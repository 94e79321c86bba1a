"""Parts of a record that follow from data, split and encoder: `run` writes them, `verify` derives them again."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from stars_bench.api import ClipInput, ProtocolSpec, Select, Split
from stars_bench.evaluation.flops import multiply_adds
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.io.files import digest_lines
from stars_bench.protocols.splits import LAST, VALIDATION, clips_in_no_part
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.record import (
    BEST_ON_HELD_OUT,
    BEST_ON_TEST,
    LAST_EPOCH,
    DatasetPart,
    InitPart,
    ProtocolPart,
    SelectionPart,
)
from stars_bench.storage.shards import PreparedDataset


def names_of(dataset: PreparedDataset, ids: np.ndarray) -> np.ndarray:
    """Return names of clips (N,), by their numbers (N,)."""
    names: np.ndarray = dataset.table["name"].to_numpy(dtype=str)[ids]
    return names


def class_names_of(dataset: PreparedDataset, ids: np.ndarray) -> Set[str]:
    """Return names of the classes that clips are of, by their numbers (N,)."""
    labels = dataset.table["label"].to_numpy(dtype=np.int64)[ids]
    return {dataset.spec.classes[label] for label in np.unique(labels)}


def dataset_part(dataset: PreparedDataset, stream: str, clip_input: ClipInput) -> DatasetPart:
    """Describe a prepared dataset, and what an encoder sees of it."""
    return DatasetPart(
        name=dataset.name,
        profile=dataset.profile.name,
        digest=dataset.digest,
        clips=dataset.num_clips,
        expected_clips=dataset.expected_clips,
        complete=dataset.complete,
        absent_body=dataset.absent_body,
        stream=stream,
        clip_input=clip_input,
        citation=dataset.spec.citation,
    )


def protocol_part(
    dataset: PreparedDataset, protocol: ProtocolSpec, config: BaseModel | None, validation: str | None, split: Split
) -> ProtocolPart:
    """Describe a split.

    Args:
        dataset: What is split.
        protocol: The rule.
        config: Its settings; None of a protocol that has none.
        validation: What is held out of the training part and tested; None: the test part is tested.
        split: The parts.
    """
    standard = validation is None and (config is None or config == type(config)())
    train, test = protocol.expected.get(dataset.name, (None, None))
    tested = MeasuredClips.of(dataset, split.test)
    return ProtocolPart(
        name=protocol.name,
        validation=validation,
        train_digest=digest_lines(names_of(dataset, split.train)),
        test_digest=digest_lines(names_of(dataset, split.test)),
        train_clips=len(split.train),
        test_clips=len(split.test),
        expected_train=train if standard else None,
        expected_test=test if standard else None,
        bank_digest=None if split.bank is None else digest_lines(names_of(dataset, split.bank)),
        bank_clips=None if split.bank is None else len(split.bank),
        expected_bank=protocol.expected_bank.get(dataset.name) if standard else None,
        test_persons=tested.persons,
        test_performances=tested.performances,
        config={} if config is None else config.model_dump(mode="json"),
        notes=_split_notes(protocol.name, validation, split, dataset.num_clips),
    )


def _split_notes(protocol: str, validation: str | None, split: Split, num_clips: int) -> tuple[str, ...]:
    """Return what a reader of the table must know of the split."""
    unused = clips_in_no_part(split, num_clips)
    # Where classes are novel, clips of no part are the rule: the test subjects' base classes.
    said = unused and split.bank is None and validation is None
    return (f"{unused:,} clips are in neither part of {protocol}.",) if said else ()


def checkpoint_rule(select: str, protocol: ProtocolSpec) -> str:
    """Say which epoch is evaluated, as records do."""
    rules = {LAST: LAST_EPOCH, VALIDATION: f"{BEST_ON_HELD_OUT} {protocol.held_out}s"}
    return rules.get(select, BEST_ON_TEST)


def selection_facts(
    dataset: PreparedDataset, protocol: ProtocolSpec, select: Select, selection: Split | None
) -> SelectionPart | None:
    """Describe the clips by which an epoch is chosen.

    Args:
        dataset: What is split.
        protocol: The protocol.
        select: What was asked for.
        selection: What trains, and as its test part the clips that choose; None: the last epoch is evaluated.
    """
    if selection is None:
        return None
    column = protocol.held_out if select == VALIDATION else None
    values = [] if column is None else np.unique(dataset.table[column].to_numpy()[selection.test]).tolist()
    return SelectionPart(
        select=select,
        column=column,
        held_out=tuple(values),
        clips=len(selection.test),
        digest=digest_lines(names_of(dataset, selection.test)),
        train_clips=len(selection.train),
    )


def init_part(start: Pretrained, dataset: PreparedDataset, split: Split) -> InitPart:
    """Describe an encoder that was there already, and count what of the tested part it was trained on."""
    tested = class_names_of(dataset, split.test)
    novel = tested - class_names_of(dataset, split.train) if split.bank is None else class_names_of(dataset, split.bank)
    test = set(names_of(dataset, split.test))
    return InitPart(
        method=start.method,
        dataset=start.dataset,
        protocol=start.protocol,
        seed=start.seed,
        run=start.run,
        key=start.key,
        path=str(start.path),
        train_clips=None if start.train is None else len(start.train),
        test_clips_seen=None if start.train is None else len(start.train & test),
        novel_classes=len(novel),
        select=start.select,
        novel_classes_seen=None if start.classes is None else len(novel & start.classes),
        notes=start.notes,
    )


def encoder_costs(encoder: nn.Module, num_joints: int, device: torch.device) -> dict[str, int]:
    """Count an encoder's parameters and the multiply-adds of one clip, as fields of a record's method."""
    return {
        "parameters": sum(parameter.numel() for parameter in encoder.parameters()),
        "multiply_adds": multiply_adds(encoder, num_joints, device),
    }
