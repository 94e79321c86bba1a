"""What plug-ins implement and receive: datasets, protocols, methods, encoders, evaluations.

Nothing here is heavy: what needs torch is loaded when it is asked for (`_LAZY`). A plug-in is anything with the right
attributes; no base class has to be inherited. The field's axis names are used throughout: N clips, C = 3 coordinates
(metres), T frames, V joints, M bodies.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from stars_bench.errors import StarsBenchError as StarsBenchError
from stars_bench.errors import UsageError as UsageError

if TYPE_CHECKING:
    import torch
    from pydantic import BaseModel

    from stars_bench.data import random as random
    from stars_bench.data import transforms as transforms
    from stars_bench.evaluation.subject import Subject as Subject
    from stars_bench.models.layers import augment as augment
    from stars_bench.models.layers.feature_queue import FeatureQueue as FeatureQueue
    from stars_bench.models.layers.momentum_teacher import MomentumTeacher as MomentumTeacher
    from stars_bench.models.layers.momentum_teacher import cosine_momentum as cosine_momentum
    from stars_bench.records.outcome import Outcome as Outcome
    from stars_bench.training.optim import warmup_cosine as warmup_cosine
    from stars_bench.training.stage import Stage as Stage
    from stars_bench.training.step import SplitStep as SplitStep

__all__ = [
    "AbsentBody",
    "Citation",
    "Clip",
    "ConfigT",
    "Cost",
    "DatasetSpec",
    "Encoder",
    "Evaluation",
    "FeatureQueue",
    "Found",
    "Method",
    "MomentumTeacher",
    "NameFacts",
    "Outcome",
    "Profile",
    "ProtocolSpec",
    "RawItem",
    "Run",
    "SetAside",
    "Skeleton",
    "Source",
    "Split",
    "SplitStep",
    "Stage",
    "StarsBenchError",
    "Subject",
    "TrainingClips",
    "TrainingTime",
    "UsageError",
    "augment",
    "cosine_momentum",
    "random",
    "transforms",
    "warmup_cosine",
]

_LAZY = {
    "FeatureQueue": "stars_bench.models.layers.feature_queue:FeatureQueue",
    "MomentumTeacher": "stars_bench.models.layers.momentum_teacher:MomentumTeacher",
    "Outcome": "stars_bench.records.outcome:Outcome",
    "SplitStep": "stars_bench.training.step:SplitStep",
    "Stage": "stars_bench.training.stage:Stage",
    "Subject": "stars_bench.evaluation.subject:Subject",
    "augment": "stars_bench.models.layers.augment",
    "cosine_momentum": "stars_bench.models.layers.momentum_teacher:cosine_momentum",
    "random": "stars_bench.data.random",
    "transforms": "stars_bench.data.transforms",
    "warmup_cosine": "stars_bench.training.optim:warmup_cosine",
}
"""What plug-ins are given or build on that needs torch: the module, or module:name, that is loaded on first use."""

if not TYPE_CHECKING:  # a type checker must see which names there are, and no others

    def __getattr__(name: str) -> Any:
        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, attribute = _LAZY[name].partition(":")
        found = import_module(module)
        return getattr(found, attribute) if attribute else found

    def __dir__() -> list[str]:
        return __all__


ConfigT = TypeVar("ConfigT", bound="BaseModel")
ConfigT_co = TypeVar("ConfigT_co", bound="BaseModel", covariant=True)
ConfigT_contra = TypeVar("ConfigT_contra", bound="BaseModel", contravariant=True)

AbsentBody = Literal["zero", "duplicate"]
"""What a batch puts where a clip has one body only: zeros, or a copy of the first body."""


# --------------------------------------------------------------------------------------------- publications

BIBTEX_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:.+_-]*")


@dataclass(frozen=True)
class Citation:
    """A publication, as a bibliography lists it: plain Unicode text, no LaTeX.

    Args:
        key: Of the BibTeX entry: letters, digits and `:.+_-`, such as `mehraban2024stars`.
        title: The title as printed.
        authors: All of them as BibTeX joins them: `Family, Given and Family, Given`. Default: none.
        venue: Conference or journal in its usual short form. Default: none.
        year: Of the publication. Default: none.
        kind: The type of the BibTeX entry. Default: a paper at a conference.
        arxiv: Number on arXiv, such as `2407.10935`. Default: none.
        doi: Default: none.
        url: Default: none.

    Raises:
        ValueError: The key is not one, the title is empty, or a text has more than one line.
    """

    key: str
    title: str
    authors: str = ""
    venue: str = ""
    year: int | None = None
    kind: Literal["inproceedings", "article", "misc"] = "inproceedings"
    arxiv: str = ""
    doi: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        if not BIBTEX_KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r} cannot be the key of a citation: letters, digits and :.+_- only")
        if not self.title.strip():
            raise ValueError(f"the citation {self.key} needs a title")
        for name in ("title", "authors", "venue", "arxiv", "doi", "url"):
            if not all(character.isprintable() for character in getattr(self, name)):
                raise ValueError(f"the {name} of the citation {self.key} must be one line")

    def __str__(self) -> str:
        """The publication in one line: `A. Shahroudy, J. Liu: Title. CVPR 2016. arXiv:1604.02808`."""
        people = [_short(person) for person in self.authors.split(" and ") if person]
        title = f"{', '.join(people)}: {self.title}" if people else self.title
        place = " ".join(str(part) for part in (self.venue, self.year) if part)
        found = f"arXiv:{self.arxiv}" if self.arxiv else f"doi:{self.doi}" if self.doi else self.url
        return ". ".join(part for part in (title, place, found) if part)


def _short(person: str) -> str:
    """`Rajabi, Mohammad Javad` as `M. J. Rajabi`; names in one piece as they are."""
    family, _, given = person.partition(", ")
    initials = ["-".join(f"{part[0]}." for part in name.split("-") if part) for name in given.split()]
    return " ".join([*initials, family])


@dataclass(frozen=True)
class TrainingTime:
    """How long training takes on one machine.

    Args:
        hours: Wall-clock hours of the whole training.
        hardware: The machine, such as `RTX 4090`.
        source: Who says so: measured, computed or reported, by which program.
    """

    hours: float
    hardware: str
    source: str

    def __str__(self) -> str:
        """The time in one line: `20.5 h on an RTX 4090 (reported ...)`."""
        time = f"{self.hours:g} h" if self.hours >= 1 else f"{60 * self.hours:.0f} min"
        return f"{time} on {self.hardware} ({self.source})"


@dataclass(frozen=True)
class Cost:
    """What training under one preset costs.

    Args:
        work: What is computed, in a sentence or two: epochs, FLOP, memory, and on which data.
        times: How long that takes, on machines of which it is known. Default: none.
    """

    work: str
    times: tuple[TrainingTime, ...] = ()

    def __str__(self) -> str:
        """The work, then the times."""
        return " ".join([self.work, *(f"{time}." for time in self.times)])


# ------------------------------------------------------------------------------------------------ datasets


@dataclass(frozen=True)
class Skeleton:
    """Joint layout: names, the parent of each joint (0-based; the root is its own parent), and the centre joint."""

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    centre: int


@dataclass(frozen=True)
class Source:
    """One piece of raw input: a file, or a member of an archive read in place."""

    path: Path
    member: str | None = None

    @property
    def stem(self) -> str:
        """File name without folder and suffix: for NTU the clip's name."""
        return Path(self.member if self.member is not None else self.path).stem

    def __str__(self) -> str:
        return f"{self.path}" if self.member is None else f"{self.path}:{self.member}"


@dataclass(frozen=True)
class RawItem:
    """One unit of conversion: the sources that are read together (an NTU file; a PKU-MMD video and its labels)."""

    name: str
    sources: Mapping[str, Source]
    facts: tuple[tuple[str, int], ...] = ()
    """What `find` knows of it that is not in its files (from its path, a table): a change converts it anew."""


@dataclass(frozen=True)
class Clip:
    """One cleaned clip: bodies (M, F, V, 3) float32 in metres, M in {1, 2}, and its metadata."""

    name: str
    label: int  # 0-based
    subject: int
    camera: int
    setup: int
    replication: int
    bodies: np.ndarray
    source_digest: str
    log: Mapping[str, int] = field(default_factory=dict)  # what cleaning did: counts by rule


class NameFacts(NamedTuple):
    """What the name of a clip says. `label` (0-based) is None where the name does not say it (PKU-MMD)."""

    item: str  # the raw file or video that the clip is of
    subject: int = 0
    camera: int = 0
    setup: int = 0
    replication: int = 0
    label: int | None = None


@dataclass(frozen=True)
class SetAside:
    """A clip that was not converted: where the fault lies and what it is, in one line."""

    name: str
    where: str  # file, and line where there is one
    reason: str
    kind: Literal["fault", "missing-list", "empty", "errata"] = "fault"  # only a fault is one of the user's files


@dataclass(frozen=True)
class Found:
    """What a dataset's `find` saw in the raw folders: items to convert, things set aside at once, official splits."""

    items: Sequence[RawItem]
    set_aside: Sequence[SetAside] = ()
    official_splits: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """{protocol: {"train": [video, ...], "test": [...]}} where the dataset ships its splits as files."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """What lay there and is not of this dataset, counted by reason: not a fault."""


@dataclass(frozen=True)
class Profile:
    """One way of cleaning. `parameters` is everything that decides the output; it is stored in every shard."""

    name: str
    summary: str
    parameters: Mapping[str, Any]
    absent_body: AbsentBody


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset: how its raw files are found and turned into clips, what it consists of, and whom to cite."""

    name: str
    title: str
    classes: tuple[str, ...]
    skeleton: Skeleton
    profiles: Mapping[str, Profile]
    default_profile: str
    find: Callable[..., Found]  # (paths, on_duplicate=, scratch=, progress=)
    convert: Callable[[RawItem, Mapping[str, bytes], Profile], Iterable[Clip | SetAside]]
    expected_clips: int | None
    where: str  # how to get the raw files and what to do with them: one line
    licence: str
    citation: Citation
    expected_names: Callable[[], Sequence[str]] | None = None  # all clips of the complete dataset, where known
    read_name: Callable[[str], NameFacts] | None = None
    """What a clip's name says; ValueError: no name of this dataset. Imported files hold names and nothing else."""
    ships_splits: bool = False  # whether files of the dataset, not the clips' names, say which clips are for training
    frame_rate: float = 30.0  # frames a second
    generate: Callable[[int | None], Found] | None = None
    """Items without raw files, of which `convert` makes so many clips (None: a number of its own choice)."""
    description: str | None = None  # the TOML that it was made of; kept beside what is prepared


# ----------------------------------------------------------------------------------------------- protocols


@dataclass(frozen=True)
class Split:
    """Who trains and who tests: int64 row numbers of the clip table, ascending.

    Args:
        train: clips that a method may learn from. test: clips that are asked (the queries). bank: labelled clips that
        evaluations compare with or train on, where these are not the training clips (novel classes); None: `train`.
    """

    train: np.ndarray
    test: np.ndarray
    bank: np.ndarray | None = None

    @property
    def labelled(self) -> np.ndarray:
        """The clips whose labels evaluations are given."""
        return self.train if self.bank is None else self.bank


@dataclass(frozen=True)
class ProtocolSpec:
    """A protocol: one function from the clip table to a Split, and the counts it must give on complete datasets.

    Args:
        split: takes the clip table, and a config where the protocol has settings (`Config`, a pydantic model, changed
        by `--set protocol.key=value`). expected, expected_bank: clips of (train, test) and of the bank by dataset, when
        complete. evaluations: what `--eval all` runs. source: the paper or program whose rule it is, in one line.
    """

    name: str
    title: str
    rule: str
    datasets: tuple[str, ...]
    split: Callable[..., Split]
    expected: Mapping[str, tuple[int, int]]
    expected_bank: Mapping[str, int] = field(default_factory=dict)
    evaluations: tuple[str, ...] = ("knn", "linear", "finetune", "semi", "clusters")
    Config: type[BaseModel] | None = None
    source: str = ""


# --------------------------------------------------------------------------------------- methods, encoders


@runtime_checkable
class Encoder(Protocol):
    """An nn.Module that maps clips (B, 3, T, V, M) to features (B, dim).

    Optional: `tokens(x)` (B, M, S, V, D) for fine-tuning heads that work on tokens, `layer_of(parameter_name)` for
    layer-wise decay, `classify(x)` (B, classes) of an encoder that has learnt to classify, `set_drop_path(rate)`.
    `frames` is the T that it was built for.
    """

    dim: int
    frames: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor: ...


class TrainingClips(Protocol):
    """The training part, as a method sees it: no test clip is in it, labels only for methods with `needs_labels`.

    `rows` number the clips of the part, 0 .. len - 1; `ids` (N,) int64 are their numbers in the whole dataset.
    """

    num_joints: int
    num_classes: int
    ids: torch.Tensor

    def __len__(self) -> int: ...

    @property
    def skeleton(self) -> Skeleton:
        """The joint layout: names, parents, centre joint."""
        ...

    @property
    def labels(self) -> torch.Tensor:
        """(N,) int64 classes; refused unless the method says `needs_labels = True`."""
        ...

    def whole(self, rows: torch.Tensor, frames: int, keep: float = 1.0) -> torch.Tensor:
        """Centre crop that keeps the fraction `keep`, resized: (B, 3, frames, V, 2)."""
        ...

    def cropped(self, rows: torch.Tensor, frames: int, max_angle: float = 0.3) -> torch.Tensor:
        """Random crop, resized, turned at random (the training clip of stage 1): (B, 3, frames, V, 2)."""
        ...


class Run(Protocol[ConfigT_co]):
    """What a method is given beside the clips: `Run[MyConfig]` has a `config` of that type.

    Random numbers come from torch's global generators, which `train` seeds before every step: a run that was
    interrupted draws the same numbers as one that was not.
    """

    @property
    def config(self) -> ConfigT_co:
        """The validated settings: a preset, changed by `--set key=value`."""
        ...

    @property
    def seed(self) -> int:
        """The seed that decides the run's random numbers."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the clips are, and where the method's modules belong."""
        ...

    @property
    def start(self) -> torch.nn.Module | None:
        """An encoder to start from (`--init`), of one of the methods that the method names in `starts_from`."""
        ...

    def train(self, stage: Stage) -> None:
        """Train a stage to its end, going on from its last checkpoint; `stage.module` then holds the result."""
        ...


@runtime_checkable
class Method(Protocol[ConfigT_contra]):
    """A method: a name, a pydantic Config, and fit. `Config.preset(name, dataset)` may give presets.

    Optional: `needs_labels`, `build(config, num_joints)` (its encoder without training, for checkpoints), `starts_from`
    (names of methods whose encoders stand for its first stage: fit then finds one in `run.start`), `evaluations` (what
    to run beside the protocol's: "classifier" where the encoder classifies).

    Facts that lists, records and reports print, each optional: `citations` (the papers, the method's own first),
    `costs` (by preset), `official_checkpoints` (programs whose checkpoints its stages can be written as: "mamp",
    "stars"; not inherited, since a subclass trains something else until it says that it does not).
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def fit(self, clips: TrainingClips, run: Run[ConfigT_contra]) -> Encoder:
        """Train on the training part.

        Args:
            clips: the training part, with labels only if the method says `needs_labels = True`.
            run: config, seed and device, and `train` for stages that are logged, checkpointed and resumed.

        Returns:
            The trained encoder, an nn.Module from clips (B, 3, T, V, M) to features (B, dim).
        """
        ...


@runtime_checkable
class Evaluation(Protocol[ConfigT_contra]):
    """An evaluation: from an encoder and both parts to predictions for the test part, whose labels it never sees.

    Optional: `source`, one line that names the paper or program whose definition it follows; a plain string, so that
    lists read it from the source without importing anything.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def run(self, subject: Subject[ConfigT_contra]) -> list[Outcome]:
        """Predict the classes (or clusters) of the test clips.

        Args:
            subject: the encoder, the labelled part, the test part without labels, `features` of both, and a run of its
                own: `subject.run.config`, `.device`, `.train(stage)`.

        Returns:
            One outcome for each variant of its settings, such as each k of k-NN.
        """
        ...
