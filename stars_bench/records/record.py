"""The record: one JSON file a result, with everything that a number in a table must be traced to.

A record is one method, trained on one protocol's training part with one seed, measured by one variant of an evaluation.
Old records stay readable: a change of the schema raises SCHEMA_VERSION and teaches `parse` the older form;
tests/historic holds a file of every version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stars_bench.api import AbsentBody, Citation, ClipInput, Select
from stars_bench.errors import StarsBenchError, of_validation, one_line
from stars_bench.io.files import digest_json, path_part
from stars_bench.io.moved_modules import current
from stars_bench.records.statistics.formulas import NORMAL_95
from stars_bench.records.statistics.intervals import HEADLINE, Interval, Intervals

SCHEMA_VERSION: Final = 6
SEALED_SINCE: Final = 6
"""The first schema whose records carry a digest of themselves."""
LAST_EPOCH = "last epoch"
BEST_ON_TEST, BEST_ON_HELD_OUT = "best epoch, selected on the test part", "best epoch on held-out"
"""Rules of a chosen epoch; the second one goes on with what is held out: `subjects`."""
UNMARKED_PRESETS = ("paper", "default")
"""`default` is for methods that have no presets: their Config as it stands."""
DRAWINGS = {
    "published": "not class-balanced",
    "published-two-gpus": "not class-balanced, two draws: nearly twice as many",
}
"""Marks of a semi-supervised evaluation's draws of training clips; balanced ones need none."""
TITLES = {"knn": "k-NN", "zeroshot": "zero-shot"}
"""Evaluations whose names people write differently."""
REPLICATES = ("list",)
"""Settings that repeat a measurement, as a seed does: results are averaged over them."""

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""What a column of a table holds."""
Count = Annotated[int, Field(ge=0, lt=2**63)]
Scalar = str | Integer | float | bool
RecipeName = Literal["common", "own", "both"]
"""`both`: the recipe of the method's own paper is the common one."""
VariantOrder = tuple[str, tuple[tuple[str, bool, float, str], ...]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MethodPart(_Part):
    """The method that was trained.

    Args:
        name: Name of the method.
        config: Its settings.
        preset: Preset that the settings began as; every preset but paper and default is marked.
        parameters: Number of parameters of the encoder.
        multiply_adds: Multiply-adds of the encoder's matrix products for one clip of two bodies; None before schema 4.
        target: The class as `module:Class`, under its module's current name.
        citations: The papers that the method's class names; None before schema 6.
        recipe: Whose data, input and evaluation this is: common, the method's own, or both in one; None in records of
            before there were recipes, which are common.
    """

    name: str
    config: dict[str, Any]
    preset: str
    parameters: Count
    multiply_adds: Count | None = None
    target: Annotated[str, AfterValidator(current)] = Field(description="module:Class, as its module is called today")
    citations: tuple[Citation, ...] | None = None
    recipe: RecipeName | None = None


class DatasetPart(_Part):
    """The prepared dataset.

    Args:
        name: Name of the dataset.
        profile: Name of the profile.
        digest: Checksum of the prepared data.
        clips: Number of clips.
        expected_clips: Number of clips of the complete dataset; None if unknown.
        complete: Whether all of them are there.
        absent_body: What stands for a second body that is not there.
        stream: Joint, bone, motion or bone-motion. Default: joint.
        clip_input: How a stored clip became the frames that the encoder took. Default: resized.
        citation: The publication to cite; None before schema 6.
    """

    name: str
    profile: str
    digest: str
    clips: int = Field(ge=0)
    expected_clips: int | None
    complete: bool
    absent_body: AbsentBody
    stream: str = "joint"
    clip_input: ClipInput = "resized"
    citation: Citation | None = None


class ProtocolPart(_Part):
    """The train/test split: digests of the lists of clip names, and counts.

    The bank holds the labelled clips of novel classes, for a protocol that has them.

    Args:
        name: Name of the protocol.
        validation: The held-out part of the training clips that was measured instead of the test part; None: the test
            part.
        train_digest: SHA-256 of the names of the training clips.
        test_digest: SHA-256 of the names of the test clips.
        train_clips: Number of training clips.
        test_clips: Number of test clips.
        expected_train: Number of training clips of the complete dataset; None if unknown.
        expected_test: Number of test clips of the complete dataset; None if unknown.
        bank_digest: SHA-256 of the names of the bank's clips. Default: None, no bank.
        bank_clips: Number of clips of the bank. Default: None, no bank.
        expected_bank: Number of clips of the bank of the complete dataset. Default: None.
        test_persons: Number of persons that are tested. Default: None, the data names none (or before schema 6).
        test_performances: Number of performances that are tested. Default: None, likewise.
        config: Settings of the protocol. Default: none.
        notes: What a reader must know about the split. Default: none.
    """

    name: str
    validation: str | None = Field(description="the held-out part of train that was measured instead of the test part")
    train_digest: str
    test_digest: str
    train_clips: int = Field(ge=0)
    test_clips: int = Field(ge=0)
    expected_train: int | None
    expected_test: int | None
    bank_digest: str | None = None
    bank_clips: int | None = None
    expected_bank: int | None = None
    test_persons: Count | None = None
    test_performances: Count | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()


class InitPart(_Part):
    """The encoder that training started from (`--init`), and which tested clips it was trained on.

    None means unknown, as for an official checkpoint whose training data the user did not state.

    Args:
        method: Method of the encoder.
        dataset: Dataset that it was trained on.
        protocol: Protocol that it was trained under.
        seed: Seed of its run.
        run: Key of its run's folder; SHA-256 of an official checkpoint.
        key: Identifies the encoder.
        path: Its file.
        train_clips: Number of clips that it was trained on.
        test_clips_seen: How many of the test clips it was trained on.
        novel_classes: Number of classes of the bank; 0 if the protocol has none.
        novel_classes_seen: How many of these classes it was trained on.
        select: Which epoch of it was kept. Default: last.
        notes: What was not used of the file, and what was assumed. Default: none.
    """

    method: str
    dataset: str | None
    protocol: str | None
    seed: int | None
    run: str = Field(description="key of the run's folder; SHA-256 of an official checkpoint")
    key: str
    path: str
    train_clips: int | None = Field(ge=0)
    test_clips_seen: int | None = Field(ge=0)
    novel_classes: int = Field(ge=0, description="classes of the bank; 0 where the protocol has none")
    novel_classes_seen: int | None = Field(ge=0)
    select: Select = "last"
    notes: tuple[str, ...] = ()


class SelectionPart(_Part):
    """The clips by which an epoch was chosen, after every epoch of what learns classes.

    Args:
        select: What was asked for.
        column: What is held out of the training part: subject, camera, setup. Default: None, nothing.
        held_out: The values of it that are held out. Default: none.
        clips: Number of clips that choose.
        digest: SHA-256 of their names.
        train_clips: Number of clips that what learns classes trained on.
    """

    select: Select
    column: str | None = None
    held_out: tuple[Integer, ...] = ()
    clips: Count
    digest: str
    train_clips: Count

    def __str__(self) -> str:
        """Return it in words: `8,120 clips of held-out subjects 3, 17; 31,971 clips train`."""
        held_out = f"held-out {self.column}s {', '.join(map(str, self.held_out))}"
        part = "the test part" if self.column is None else held_out
        return f"{self.clips:,} clips of {part}; {self.train_clips:,} clips train"


class EvaluationPart(_Part):
    """How the result was measured.

    Args:
        name: Name of the evaluation.
        config: Its settings.
        settings: The variant of the evaluation, such as {"k": 1}.
        checkpoint_rule: Which of its checkpoints predicted. Default: last epoch.
    """

    name: str
    config: dict[str, Any]
    settings: dict[str, Scalar]
    checkpoint_rule: str = LAST_EPOCH

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of everything that decides how the number was measured."""
        return digest_json(self.model_dump())

    @property
    def title(self) -> str:
        """The variant as people write it: `k-NN k=1`, `linear`."""
        settings = (f"{key}={value}" for key, value in sorted(self.settings.items()) if key not in REPLICATES)
        return " ".join([TITLES.get(self.name, self.name), *settings])

    @property
    def replicate(self) -> tuple[Scalar, ...]:
        """Which of several repetitions of the variant this is."""
        return tuple(self.settings[key] for key in REPLICATES if key in self.settings)

    @property
    def order(self) -> VariantOrder:
        """Sorts variants as people count: k = 2 before k = 10."""
        return self.name, tuple(
            (key, isinstance(value, str), 0.0 if isinstance(value, str) else float(value), str(value))
            for key, value in sorted(self.settings.items())
        )


class Sampled(NamedTuple):
    """A 95 % interval, and what it takes as sampled: "person", "performance", "episode" or "clip"."""

    unit: str
    interval: Interval


class Metric(_Part):
    """One number of a record.

    Args:
        name: Name of the metric.
        value: The number; accuracies are in percent.
        unit: Unit of the number, such as "%".
        n: Number of clips.
        interval: Headline 95 % interval, in the same unit; before schema 6 that of independent clips. Default: None.
        intervals: All 95 % intervals by what is sampled: person, performance, episode, clip. Default: none.
    """

    name: str
    value: float
    unit: str
    n: Count
    interval: tuple[float, float] | None = None
    intervals: Intervals = Field(default_factory=dict)

    @property
    def sampled(self) -> Sampled | None:
        """The headline interval and what it takes as sampled; None where there is none."""
        for unit in HEADLINE:
            if unit in self.intervals:
                return Sampled(unit, self.intervals[unit])
        if self.interval is None:
            return None
        low, high = self.interval
        return Sampled("clip", Interval(low=low, high=high, se=(high - low) / 2 / NORMAL_95, clusters=max(self.n, 1)))

    @model_validator(mode="after")
    def _is_sound(self) -> Metric:
        if self.unit == "%" and not 0 <= self.value <= 100:
            raise ValueError(f"{self.name} is {self.value} %, outside 0 to 100")
        if self.interval is not None and not self.interval[0] <= self.value <= self.interval[1]:
            raise ValueError(f"{self.name} {self.value} lies outside its interval {self.interval}")
        return self


class StagePart(_Part):
    """One stage of training: its cache key, what it cost, and its checkpoint.

    Args:
        name: Name of the stage.
        key: Digest of everything that decides its result.
        seconds: Time that its training took, on so many processes.
        samples: Clips that its steps were given.
        peak_bytes: Largest GPU memory of a process; None on a CPU.
        checkpoint_digest: SHA-256 of its checkpoint.
        reused: Whether it was finished before, by this run or another.
        processes: Number of processes that trained it; decides time and memory only. Default: 1.
        micro_batches: Parts that its batches were divided into; decides time and memory only. Default: 1.
        code: Digest of the source that it depends on; None before schema 6.
        state: Digest of its module's values when training began; None before schema 6.
        epoch: The epoch that was chosen. Default: None, the last.
    """

    name: str
    key: str
    seconds: float = Field(ge=0)
    samples: int = Field(ge=0)
    peak_bytes: int | None
    checkpoint_digest: str
    reused: bool
    processes: int = Field(default=1, ge=1)
    micro_batches: int = Field(default=1, ge=1)
    code: str | None = None
    state: str | None = None
    epoch: Annotated[int, Field(ge=1)] | None = None


class CodePart(_Part):
    """The code that ran.

    Args:
        version: Version of this package.
        commit: Commit of the checkout; None outside a checkout.
        dirty: Whether the checkout had changes; None outside a checkout.
        modules: First digits of the SHA-256 of each module, the user's and ours, or of a definition that was typed
            (`module:name`); None before schema 6.
        distributions: Versions of the installed packages that these import; None before schema 6.
    """

    version: str
    commit: str | None
    dirty: bool | None
    modules: dict[str, str] | None = None
    distributions: dict[str, str] | None = None

    @property
    def digest(self) -> str | None:
        """Digest of the source that the result used; None where the record does not have it."""
        return None if self.modules is None else digest_json(self.modules)


class EnvironmentPart(_Part):
    """The machine, as `io.files.environment` describes it, and its arithmetic.

    Args:
        python: Version of Python.
        platform: Operating system and machine.
        cpus: Number of CPU cores; None if unknown.
        packages: Versions of the packages that matter.
        device: Device of the computation.
        precision: float32, tf32 or bf16.
        processes: Number of processes. Default: 1.
        threads: Threads of each process on the CPU, which the last bits depend on; None before schema 5.
        deterministic: Whether a GPU used deterministic kernels only. Default: False.
        compiled: Whether torch.compile was used; "step": on whole steps. Default: False.
    """

    python: str
    platform: str
    cpus: int | None
    packages: dict[str, str]
    device: str
    precision: str
    processes: int = Field(default=1, ge=1)
    threads: int | None = None
    deterministic: bool = False
    compiled: bool | Literal["step"] = False


class PredictionsPart(_Part):
    """The saved predictions.

    Args:
        file: Path relative to the seed's folder, inside it.
        digest: Digest of the file.
    """

    file: str
    digest: str

    @field_validator("file")
    @classmethod
    def _in_the_folder(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or PureWindowsPath(file).drive or ".." in path.parts or "\\" in file:
            raise ValueError("it must be a path in the seed's folder")
        return file


class Record(_Part):
    """One result.

    Args:
        schema_version: Version of the record's form.
        status: Always "done".
        method: The method.
        dataset: The prepared dataset.
        protocol: The train/test split.
        evaluation: How the result was measured.
        seed: Seed of the run.
        metrics: The numbers, the main one first.
        stages: Stages of training, in order.
        code: The code that ran.
        environment: The machine.
        command: What the user typed.
        started: Start of the run, ISO 8601 in UTC.
        finished: End of the evaluation, ISO 8601 in UTC.
        predictions: The saved predictions.
        init: The encoder that training started from. Default: None.
        selection: The clips by which the epoch was chosen. Default: None, the last epoch is evaluated.
        fused: Digests of the saved predictions whose scores were summed. Default: none.
        weights: SHA-256 of the encoder's tensors; None before schema 5 and for fused results.
        per_class: Top-1 accuracy in % of each class; None for classes without test clips.
        doubts: What makes the number doubtful, see `records.doubts`; none before schema 6.
        self_digest: SHA-256 of everything else in the record; None before schema 6.
    """

    schema_version: Literal[1, 2, 3, 4, 5, 6] = SCHEMA_VERSION
    status: Literal["done"] = "done"
    method: MethodPart
    dataset: DatasetPart
    protocol: ProtocolPart
    evaluation: EvaluationPart
    seed: Integer
    metrics: tuple[Metric, ...] = Field(min_length=1)
    stages: tuple[StagePart, ...]
    code: CodePart
    environment: EnvironmentPart
    command: str
    started: str
    finished: str
    predictions: PredictionsPart
    init: InitPart | None = None
    selection: SelectionPart | None = None
    fused: tuple[str, ...] = Field(default=(), description="digests of the saved predictions whose scores were summed")
    weights: str | None = Field(
        default=None, description="SHA-256 of the encoder's tensors; None before schema 5 and of fused results"
    )
    per_class: tuple[float | None, ...] | None = Field(
        default=None, description="top-1 accuracy in % of each class; None for classes without test clips"
    )
    doubts: tuple[str, ...] = Field(default=(), description="what makes the number doubtful; empty before schema 6")
    self_digest: str | None = Field(
        default=None, description="SHA-256 of everything else in the record; None before schema 6"
    )

    @model_validator(mode="after")
    def _has_each_metric_once(self) -> Record:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"a metric appears twice: {', '.join(names)}")
        return self

    def sealed(self) -> Record:
        """Return the record with a digest of its own content; records of schemas before 6 have none."""
        if self.schema_version < SEALED_SINCE:
            return self
        return self.model_copy(update={"self_digest": content_digest(self.model_dump(mode="json"))})

    @property
    def is_own_recipe(self) -> bool:
        """Whether it follows the recipe of the method's own paper, and that is not the common one."""
        return self.method.recipe == "own"

    @property
    def origin(self) -> str:
        """Where the input or the encoder is not the usual one: `bone`, `from ntu60 xsub`; empty otherwise."""
        parts = [self.dataset.stream] if self.dataset.stream != "joint" else []
        if self.init is not None:
            known = self.init.dataset is not None
            parts.append(f"from {self.init.dataset} {self.init.protocol}" if known else "from unknown data")
        return ", ".join(parts)

    @property
    def select(self) -> Select:
        """Which epoch is evaluated."""
        return "last" if self.selection is None else self.selection.select

    @property
    def complete(self) -> bool:
        """Whether the result rests on all clips that the dataset and the protocol have."""
        return self.dataset.complete and (self.protocol.validation is not None or self._has_expected_split)

    @property
    def marks(self) -> list[str]:
        """Short reasons why this result must not stand in a table without a footnote. Empty: nothing to explain."""
        marks = []
        if self.is_own_recipe:
            marks.append(f"recipe of its own paper (profile {self.dataset.profile}, clips {self.dataset.clip_input})")
        if self.method.preset not in UNMARKED_PRESETS:
            marks.append(f"{self.method.preset} preset")
        if self.dataset.name == "synthetic":
            marks.append("synthetic data")
        if not self.dataset.complete:
            expected = self.dataset.expected_clips
            of = f" of {expected:,}" if expected is not None else ""
            marks.append(f"partial data ({self.dataset.clips:,}{of} clips)")
        elif not self.complete:
            marks.append(f"unexpected split ({self.protocol.train_clips:,} train, {self.protocol.test_clips:,} test)")
        if self.protocol.validation is not None:
            marks.append("validation part, not the test part")
        if self.evaluation.checkpoint_rule.startswith(BEST_ON_HELD_OUT):
            marks.append(f"checkpoint: {self.evaluation.checkpoint_rule}, which do not train")
        if gpus := self.method.config.get("released_gpus"):
            marks.append(f"slips of the released program repeated, as on {gpus} GPU{'s' * (gpus > 1)}")
        if drawing := DRAWINGS.get(str(self.evaluation.settings.get("drawing"))):
            marks.append(f"training clips drawn as published ({drawing})")
        return [*marks, *self.doubts, *self.advantages]

    @property
    def advantages(self) -> list[str]:
        """Those of the marks that say that the result has, or may have, seen what it was tested on."""
        rule = self.evaluation.checkpoint_rule
        is_fair = rule == LAST_EPOCH or rule.startswith(BEST_ON_HELD_OUT)
        return [*self.leaks, *([] if is_fair else [f"checkpoint: {rule}"])]

    @property
    def leaks(self) -> list[str]:
        """Those of the marks that say what of the tested part the encoder has, or may have, been trained on."""
        marks = []
        if self.init is not None and self.init.test_clips_seen:
            marks.append(f"encoder saw {self.init.test_clips_seen:,} of the {self.protocol.test_clips:,} test clips")
        if self.init is not None and self.init.test_clips_seen is None:
            marks.append("unknown which test clips the encoder saw")
        if self.init is not None and self.init.novel_classes_seen:
            seen, novel = self.init.novel_classes_seen, self.init.novel_classes
            marks.append(f"encoder saw {seen} of the {novel} novel classes")
        if self.init is not None and self.init.select == "best-on-test":
            marks.append(f"encoder selected on the test part of {self.init.dataset} {self.init.protocol}")
        return marks

    @property
    def file_name(self) -> str:
        """The record's own file name, the same for the same evaluation and settings: `knn-k1-3f9a1c02.json`."""
        settings = [f"{key}{value}" for key, value in sorted(self.evaluation.settings.items())]
        name = "-".join([self.evaluation.name, *settings, self.evaluation.digest[:8]])
        return path_part(name) + ".json"

    @property
    def _has_expected_split(self) -> bool:
        protocol = self.protocol
        counts = (
            (protocol.train_clips, protocol.expected_train),
            (protocol.test_clips, protocol.expected_test),
            (protocol.bank_clips, protocol.expected_bank),
        )
        return all(expected in (None, clips) for clips, expected in counts)


def factors(records: Sequence[Record]) -> tuple[tuple[Scalar, ...], ...]:
    """Return what varies between results of one number: the seed of each, and then its list of labelled clips, if any.

    Args:
        records: One a seed (and list).
    """
    return tuple(zip(*((one.seed, *one.evaluation.replicate) for one in records), strict=False))


def content_digest(content: Mapping[str, Any]) -> str:
    """Compute the digest that a record carries of itself: SHA-256 (hex) of its JSON content without that digest.

    Args:
        content: As it stands in the file, not as this version understands it: fields may be added later.
    """
    return digest_json({name: value for name, value in content.items() if name != "self_digest"})


class NewerSchema(StarsBenchError):
    """A record that a later version of this package wrote."""


def parse(text: str, where: str) -> Record:
    """Return a record from its JSON text.

    Raises:
        StarsBenchError: Not JSON, not a record, or of a newer schema; one line that begins with `where`.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise StarsBenchError(f"{where}, line {error.lineno}: not JSON ({error.msg})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise StarsBenchError(f"{where}: not JSON that a record may have ({one_line(error)})") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise StarsBenchError(f"{where}: not a record of stars-bench (no schema_version)")
    if version > SCHEMA_VERSION:
        raise NewerSchema(
            f"{where}: record schema {version} is newer than this stars-bench reads ({SCHEMA_VERSION}): update it"
        )
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        raise StarsBenchError(of_validation(error, f"{where}: not a sound record")) from error
