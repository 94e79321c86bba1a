"""Trained encoders: a run's folder, its encoder.pt or an official checkpoint in, the encoder out.

`run --init` and `evaluate` start from one. What it was trained on (clip and class names) comes along, so that a result
can say which test clips the encoder has seen. An official checkpoint of MAMP says it; of STARS the user may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.api import DatasetSpec, Select, Skeleton
from stars_bench.errors import StarsBenchError, UsageError, of_validation, one_line
from stars_bench.evaluation.subject import WrongEncoder
from stars_bench.experiments.official import checkpoints as official_checkpoints
from stars_bench.formats.clip_order import table_of
from stars_bench.io.files import digest_file, digest_json
from stars_bench.io.moved_modules import current
from stars_bench.io.run_folder import RunFolder, seeds_of
from stars_bench.io.sealed import is_sealed
from stars_bench.models.layers.encoder import SEGMENT
from stars_bench.models.mamp import EncoderConfig
from stars_bench.protocols.splits import DatasetFacts, split_of
from stars_bench.storage.shards import open_dataset
from stars_bench.training import checkpoint, exported_encoder

PLAIN = ("config", "preset", "run", "key", "seed", "dataset", "protocol", "stream")
LISTS = ("train", "classes")
OFFICIAL_PRESET = "official checkpoint"
OF_A_RUN = (".json", ".toml")
"""Suffixes of files of a run that hold no encoder: they stand for the encoder beside them."""
NO_DIGEST = "of an older version, without a digest: damage of the file would not be noticed"
CLASSIFIERS = {
    "finetune": "stars_bench.experiments.official.classifiers:FineTuned",
    "linprobe": "stars_bench.experiments.official.classifiers:Probed",
}
"""What stands for the method of an official file that does not name it, by the stage that wrote it."""
LAST_LAYERS = ("head.1.weight", "head.1.bias", "head.fc2.weight", "head.fc2.bias")
"""The tensors of official classifiers, of a probe and of fine-tuning, that have a row for each class."""
OPEN_SETTINGS = ("heads", "frames")
"""What may be said of an official encoder: its heads, which the file does not show, and the clip length to turn to."""


@dataclass(frozen=True)
class Pretrained:
    """A trained encoder, as a run or an official program stored it. None means unknown.

    Args:
        path: The file.
        target: Its method as `module:Class`.
        config: Settings of its method.
        preset: Preset of the settings; empty if it had none.
        run: Key of the run's folder; for an official file its SHA-256.
        key: Identifies the encoder itself.
        seed: Seed of the run.
        dataset: Dataset that it was trained on.
        protocol: Protocol that it was trained under.
        stream: Joint, bone, motion or bone-motion.
        train: Names of the clips that it was trained on.
        classes: Names of the classes that it was trained on.
        state: Its tensors, by name.
        notes: What a user must know about how it was read. Default: none.
        recipe: The recipe that it was trained under: "common", or "own" where the method's own is another. Default:
            "common", the only one that older files know.
        named: Name of an encoder that is of no registered method. Default: None.
        select: Which epoch of it was kept. Default: last.
        stages: Keys of the stages that trained it, by name. Default: None, unknown.
    """

    path: Path
    target: str
    config: Mapping[str, Any]
    preset: str
    run: str
    key: str
    seed: int | None
    dataset: str | None
    protocol: str | None
    stream: str | None
    train: frozenset[str] | None
    classes: frozenset[str] | None
    state: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()
    recipe: str = "common"
    named: str | None = None
    select: Select = "last"
    stages: Mapping[str, str] | None = None

    @property
    def method(self) -> str:
        """The method's name.

        Raises:
            UsageError: The method is not to be found here.
        """
        return self.named or str(registry.load("methods", self.target).name)

    @property
    def is_official(self) -> bool:
        """Whether it comes from a file of MAMP or STARS, which holds the encoder's size and no other setting."""
        return self.preset == OFFICIAL_PRESET


def save(path: Path, encoder: nn.Module, facts: Mapping[str, Any]) -> None:
    """Write an encoder with the facts that `Pretrained` holds of it."""
    listed = {name: None if facts[name] is None else "\n".join(sorted(facts[name])) for name in LISTS}
    checkpoint.save(path, {"encoder": encoder.state_dict(), **facts, **listed})


def find(path: Path, seed: int) -> Pretrained:
    """Find the encoder of a run: its encoder.pt, a record, its seedN folder, or a folder above (`seeds_of`).

    A folder above gives the same seed, or the only one. The path can also be an exported encoder, and an official
    checkpoint; `fitted` must then be asked whether its size is complete.

    Raises:
        UsageError: There is nothing, there are several seeds and none is this one, or the method's code is neither
            installed nor named by the user.
        StarsBenchError: The file is not such a checkpoint.
    """
    file = _file(path, seed)
    if exported_encoder.find(file) is None:
        content = official_checkpoints.load(file)
        if "schema_version" not in content:
            return _official(file, official_checkpoints.encoder_of(content, file))
    state = content_of(file)
    try:
        plain = {name: state[name] for name in PLAIN}
        lists = {name: None if state[name] is None else frozenset(state[name].split("\n")) - {""} for name in LISTS}
        target = current(state["method"])
        registry.check_from_file("methods", target, file)
        notes = () if exported_encoder.find(file) or is_sealed(file) else (NO_DIGEST,)
        select = state.get("select", "last")
        stages = dict(state["stages"]) if "stages" in state else None
        facts = plain | lists | {"select": select, "stages": stages, "recipe": state.get("recipe", "common")}
        return Pretrained(file, target=target, state=state["encoder"], notes=notes, **facts)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else one_line(error)
        raise StarsBenchError(
            f"{file}: is no encoder.pt of this version of stars-bench ({why}): "
            "the command of its run makes it anew (config.toml beside it has the settings)"
        ) from error


def content_of(file: Path) -> dict[str, Any]:
    """Return what is in an encoder.pt, or in the weights of an exported encoder with the files beside it.

    Raises:
        Damaged: The file, or one beside it, is not as it was written.
        StarsBenchError: It is of another schema.
    """
    return checkpoint.load(file) if exported_encoder.find(file) is None else exported_encoder.read(file)


def encoder_file(folder: RunFolder) -> Path | None:
    """Return the file of the encoder of a seed: encoder.pt, of a packed run the exported one; None without either."""
    return next((file for file in (folder.encoder, folder.packed_encoder) if file.exists()), None)


def seeds(path: Path) -> list[int]:
    """Return the seeds that a run's folder holds, or the one of a seedN folder or encoder.pt.

    0 for an official checkpoint.
    """
    there = [] if path.is_file() and path.suffix not in OF_A_RUN else [folder.seed for folder in _with_encoder(path)]
    return [seed for seed in there if seed is not None] or [find(path, 0).seed or 0]


def _file(path: Path, seed: int) -> Path:
    if path.is_file() and path.suffix not in OF_A_RUN:
        return path
    if (exported := exported_encoder.find(path)) is not None:
        return exported
    there = _with_encoder(path)
    if not there:
        if any(folder.record_files() for folder in seeds_of(path)):
            raise UsageError(
                f"{path}: has results but no encoder.pt: the weights of an encoder given in Python are not kept"
            )
        raise UsageError(f"{path}: no run folder and no encoder.pt: give runs/DATASET/PROTOCOL/METHOD/KEY")
    chosen = there if len(there) == 1 else [folder for folder in there if folder.seed == seed]
    if not chosen:
        others = ", ".join(folder.path.name for folder in there)
        raise UsageError(f"{path}: seed {seed} is not there ({others} are)")
    return encoder_file(chosen[0]) or chosen[0].encoder


def _with_encoder(path: Path) -> list[RunFolder]:
    """Return the seeds that a path means and that have an encoder."""
    return [folder for folder in seeds_of(path) if encoder_file(folder) is not None]


def _official(file: Path, found: official_checkpoints.OfficialEncoder) -> Pretrained:
    facts = found.facts
    return Pretrained(
        file,
        target=CLASSIFIERS[facts.stage] if facts.method is None else registry.BUILT_IN["methods"][facts.method],
        config=found.size,
        preset=OFFICIAL_PRESET,
        run=digest_file(file),
        key="",  # until `fitted` knows the whole size
        seed=None,
        dataset=facts.dataset,
        protocol=facts.protocol,
        stream=facts.stream,
        train=None,
        classes=None,
        state=found.state,
        notes=found.notes,
    )


def open_settings(start: Pretrained) -> tuple[str, ...]:
    """Return what may be said of an encoder that is already trained."""
    if start.is_official:
        return OPEN_SETTINGS
    is_ours = "temp_embed" in start.state and EncoderConfig.model_fields.keys() <= start.config.keys()
    return ("frames",) if is_ours else ()


def fitted(start: Pretrained, settings: Mapping[str, Any]) -> Pretrained:
    """Return an encoder for the `frames` asked for, an official one with the `heads`.

    What is not asked for stays as it is.

    For other frames its temporal table is interpolated, as the official programs do.

    Raises:
        UsageError: Its number of heads is not stated, or the file says otherwise; the size is impossible; or an encoder
        without a temporal table is asked for other frames.
    """
    if not start.is_official and settings.get("frames", start.config.get("frames")) == start.config.get("frames"):
        return start
    if "temp_embed" not in start.state:
        raise UsageError(f"{start.path}: has no temporal table, so its frames cannot be set")
    known = {name: start.config[name] for name in EncoderConfig.model_fields if name in start.config}
    size = known | dict(settings)
    if "heads" in known and official_checkpoints.HEADS_NOTE not in start.notes and size["heads"] != known["heads"]:
        raise UsageError(f"{start.path}: says itself that it has {known['heads']} heads: leave out --set heads=N")
    if "heads" not in size:
        raise UsageError(
            f"{start.path}: its weights (dim {size['dim']:.0f}) do not show how many attention heads it has: "
            "say --set heads=N"
        )
    try:
        config = EncoderConfig.model_validate(size)
    except ValidationError as error:
        raise UsageError(of_validation(error, str(start.path))) from error
    notes = [note for note in start.notes if "heads" not in settings or note != official_checkpoints.HEADS_NOTE]
    state, before = dict(start.state), int(start.config["frames"])
    if config.frames != before:
        state["temp_embed"] = official_checkpoints.interpolated(state["temp_embed"], config.frames // SEGMENT)
        notes.append(f"temporal table interpolated from {before} frames to {config.frames}")
    values = config.model_dump()
    key = digest_json({"file": start.run, "size": values} if start.is_official else {"of": start.key, "size": values})
    return replace(start, config={**start.config, **values}, state=state, key=key, notes=tuple(notes))


def trained_on(start: Pretrained, statement: str, data_dir: Path) -> Pretrained:
    """Return an encoder that was trained on the training part of `DATASET:PROTOCOL`, as its user says.

    Raises:
        UsageError: No such dataset or protocol, neither prepared nor known by name, or the encoder's file says that it
        was trained on another.
    """
    where = f"--trained-on {statement}"
    if start.dataset is not None and statement != f"{start.dataset}:{start.protocol}":
        raise UsageError(
            f"{where}: {start.path} says itself what it was trained on: {start.dataset} {start.protocol}; leave it out"
        )
    if start.train is not None:
        return start
    name, colon, protocol = statement.partition(":")
    if not colon:
        raise UsageError(f"{where}: say DATASET:PROTOCOL, such as ntu60:xsub")
    spec, rule = registry.load("datasets", name), registry.load("protocols", protocol)
    if spec.name not in rule.datasets:
        raise UsageError(f"{where}: {spec.name} has no protocol {rule.name} ({', '.join(rule.datasets)} have it)")
    clips = _clips_of(spec, data_dir)
    train = clips.table.iloc[split_of(clips, rule).train]
    return replace(
        start,
        dataset=spec.name,
        protocol=rule.name,
        train=frozenset(train["name"]),
        classes=frozenset(spec.classes[label] for label in train["label"].unique()),
    )


def as_stated(start: Pretrained, data_dir: Path) -> Pretrained:
    """Look up the clips of the training part that an official checkpoint names itself.

    Args:
        start: The encoder.
        data_dir: Prepared data, for datasets whose clips are not known by name.

    Returns:
        The encoder with its training clips; with a note where they cannot be had.
    """
    if start.dataset is None or start.train is not None:
        return start
    try:
        return trained_on(start, f"{start.dataset}:{start.protocol}", data_dir)
    except StarsBenchError as error:
        return replace(start, notes=(*start.notes, f"which clips it was trained on is unknown here: {error}"))


def cut_to_classes(start: Pretrained, dataset: str) -> Pretrained:
    """Cut an official classifier to the classes of the dataset that it was trained on, where it is measured there.

    MAMP's probe of NTU-60 x-view has 120 outputs for 60 classes; no clip has trained the others to be one.
    """
    last = [name for name in LAST_LAYERS if name in start.state]
    if not start.is_official or start.dataset != dataset or not last:
        return start
    outputs, classes = len(start.state[last[0]]), len(registry.load("datasets", dataset).classes)
    if outputs <= classes:
        return start
    note = f"its classifier has {outputs} outputs for the {classes} classes of {dataset}: the others are left out"
    state = {**start.state, **{name: start.state[name][:classes] for name in last}}
    return replace(start, state=state, notes=(*start.notes, note))


class _Published(NamedTuple):
    """A whole dataset as its published clip names describe it."""

    name: str
    table: pd.DataFrame
    complete: bool = True


def _clips_of(spec: DatasetSpec, data_dir: Path) -> DatasetFacts:
    """Return the clips of a dataset, from its published names or as prepared."""
    if spec.expected_names is None or spec.read_name is None or spec.ships_splits:
        return open_dataset(data_dir, spec.name)
    return _Published(spec.name, table_of({name: spec.read_name(name) for name in spec.expected_names()}))


def check_joints(start: Pretrained, skeleton: Skeleton) -> None:
    """Check that an encoder was trained on joints of this order and kind, where the dataset it learnt from is known.

    Raises:
        UsageError: It was trained on the same joints in another order, or on poses in pictures where these are in
            space, or the other way round.
    """
    if start.dataset not in registry.names("datasets"):
        return
    learnt: Skeleton = registry.load("datasets", start.dataset).skeleton
    told = f"{start.path}: was trained on {start.dataset}, whose joints"
    if learnt.channels != skeleton.channels:
        raise UsageError(f"{told} are {', '.join(learnt.channels)}; these are {', '.join(skeleton.channels)}")
    if learnt.joints != skeleton.joints and set(learnt.joints) == set(skeleton.joints):
        raise UsageError(
            f"{told} stand in another order ({learnt.name}, here {skeleton.name}): features would be noise"
        )


def rebuild(start: Pretrained, num_joints: int) -> nn.Module:
    """Return the encoder as a module, on the CPU.

    Raises:
        UsageError: Its method cannot be built without training, or its joints are others.
    """
    method = registry.load("methods", start.target)
    if not hasattr(method, "build"):
        raise UsageError(
            f"{start.path}: {start.method} has no build(config, num_joints), so its encoder cannot be loaded"
        )
    encoder = build(method(), method.Config.model_validate(dict(start.config)), num_joints)
    try:
        encoder.load_state_dict(start.state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UsageError(f"{start.path}: does not fit skeletons of {num_joints} joints ({reason})") from error
    return encoder.to(torch.device("cpu"))


def build(method: Any, config: BaseModel, num_joints: int) -> nn.Module:
    """Build a method's encoder without training.

    Args:
        method: an instance that has `build(config, num_joints)`.
        config: the method's settings.
        num_joints: V.

    Raises:
        StarsBenchError: it fails, or gives something else than an encoder.
    """
    try:
        encoder = method.build(config, num_joints)
    except StarsBenchError:
        raise
    except Exception as error:  # a plug-in's code can fail in any way
        raise StarsBenchError(f"{method.name}: build(config, {num_joints}) fails ({one_line(error)})") from error
    return checked(encoder, method.name, "build")


def checked(encoder: object, method: str, function: str) -> nn.Module:
    """Return what a function of a method has given, if it is an encoder.

    Raises:
        WrongEncoder: it is no nn.Module with `dim` and `frames`.
    """
    if not isinstance(encoder, nn.Module) or not hasattr(encoder, "dim") or not hasattr(encoder, "frames"):
        raise WrongEncoder(f"{method}: {function} must return an nn.Module with `dim` and `frames`")
    return encoder
