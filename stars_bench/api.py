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
    from stars_bench.datasets.parsing.ntu_text import parse_ntu as parse_ntu
    from stars_bench.evaluation.subject import Subject as Subject
    from stars_bench.models.layers import augment as augment
    from stars_bench.models.layers.feature_queue import FeatureQueue as FeatureQueue
    from stars_bench.models.layers.momentum_teacher import MomentumTeacher as MomentumTeacher
    from stars_bench.models.layers.momentum_teacher import cosine_momentum as cosine_momentum
    from stars_bench.records.outcome import Outcome as Outcome
    from stars_bench.training.loggers.logger import LoggedRun as LoggedRun
    from stars_bench.training.loggers.logger import Logger as Logger
    from stars_bench.training.optim import warmup_cosine as warmup_cosine
    from stars_bench.training.stage import Stage as Stage
    from stars_bench.training.step import SplitStep as SplitStep

__all__ = [
    "AbsentBody",
    "Citation",
    "Clip",
    "ClipInput",
    "ConfigT",
    "Cost",
    "DatasetSpec",
    "Encoder",
    "Evaluation",
    "FeatureQueue",
    "Found",
    "LoggedRun",
    "Logger",
    "Method",
    "MomentumTeacher",
    "NameFacts",
    "Outcome",
    "Profile",
    "ProtocolSpec",
    "RawItem",
    "Recipe",
    "RecipeChoice",
    "Run",
    "Select",
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
    "parse_ntu",
    "random",
    "transforms",
    "warmup_cosine",
]

_LAZY = {
    "FeatureQueue": "stars_bench.models.layers.feature_queue:FeatureQueue",
    "LoggedRun": "stars_bench.training.loggers.logger:LoggedRun",
    "Logger": "stars_bench.training.loggers.logger:Logger",
    "MomentumTeacher": "stars_bench.models.layers.momentum_teacher:MomentumTeacher",
    "Outcome": "stars_bench.records.outcome:Outcome",
    "SplitStep": "stars_bench.training.step:SplitStep",
    "Stage": "stars_bench.training.stage:Stage",
    "Subject": "stars_bench.evaluation.subject:Subject",
    "augment": "stars_bench.models.layers.augment",
    "cosine_momentum": "stars_bench.models.layers.momentum_teacher:cosine_momentum",
    "parse_ntu": "stars_bench.datasets.parsing.ntu_text:parse_ntu",
    "random": "stars_bench.data.random",
    "transforms": "stars_bench.data.transforms",
    "warmup_cosine": "stars_bench.training.optim:warmup_cosine",
}
"""What plug-ins are given or build on, and what reads raw files: the module or module:name that is loaded on use."""

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

ClipInput = Literal["resized", "zero-padded", "crossclr"]
"""How a stored clip becomes the T frames that an encoder takes; `data/clip_inputs.py` has the ways."""

Select = Literal["last", "validation", "best-on-test"]
"""Which epoch of what learns classes is evaluated: the last, the best on clips held out of the training part, or the
best on the test part, as several papers do it."""


# --------------------------------------------------------------------------------------------- publications

BIBTEX_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:.+_-]*")


@dataclass(frozen=True)
class Citation:
    """A publication, as a bibliography lists it: plain Unicode text, no LaTeX.

    Args:
        key: Key of the BibTeX entry: letters, digits and `:.+_-`, such as `mehraban2024stars`.
        title: The title as printed.
        authors: All authors as BibTeX joins them: `Family, Given and Family, Given`. Default: none.
        venue: Conference or journal in its usual short form. Default: none.
        year: Year of the publication. Default: none.
        kind: The type of the BibTeX entry. Default: a paper at a conference.
        arxiv: Number on arXiv, such as `2407.10935`. Default: none.
        doi: DOI, without `https://doi.org/`. Default: none.
        url: Web address. Default: none.

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
        """Return the publication in one line: `A. Shahroudy, J. Liu: Title. CVPR 2016. arXiv:1604.02808`."""
        people = [_short(person) for person in self.authors.split(" and ") if person]
        title = f"{', '.join(people)}: {self.title}" if people else self.title
        place = " ".join(str(part) for part in (self.venue, self.year) if part)
        found = f"arXiv:{self.arxiv}" if self.arxiv else f"doi:{self.doi}" if self.doi else self.url
        return ". ".join(part for part in (title, place, found) if part)


def _short(person: str) -> str:
    """Shorten a name: `Rajabi, Mohammad Javad` to `M. J. Rajabi`; a name in one piece stays as it is."""
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
        """Return the time in one line: `20.5 h on an RTX 4090 (reported ...)`."""
        time = f"{self.hours:g} h" if self.hours >= 1 else f"{60 * self.hours:.0f} min"
        return f"{time} on {self.hardware} ({self.source})"


@dataclass(frozen=True)
class Cost:
    """What training under one preset costs.

    Args:
        work: What is computed, in a sentence or two: epochs, FLOP, memory, and on which data.
        times: How long that takes, on machines where that is known. Default: none.
    """

    work: str
    times: tuple[TrainingTime, ...] = ()

    def __str__(self) -> str:
        """Return the work, then the times."""
        return " ".join([self.work, *(f"{time}." for time in self.times)])


# ------------------------------------------------------------------------------------------------- recipes


RecipeChoice = Literal["common", "own"]
"""What `--recipe` takes."""


@dataclass(frozen=True)
class Recipe:
    """What a method's own paper does otherwise than MAMP's: data, input, training, evaluation (`--recipe own`).

    Under the common recipe all encoders are compared by one probe, crop and cleaning, those of MAMP. Published numbers
    of a method rest on its own. What is not said here is as in the common recipe.

    Args:
        source: The paper or program that the values come from, in one line.
        profiles: The cleaning profile by dataset; on other datasets the recipe is refused. Default: every dataset, as
            it is cleaned by default.
        clip_input: How a stored clip becomes the frames that the encoder takes. Default: resized.
        settings: Settings of the method, over its preset. Default: none.
        evaluations: The evaluations that the recipe has, by name, each with the settings that differ from the common
            ones; others are refused. Default: every evaluation, as in the common recipe.
    """

    source: str
    profiles: Mapping[str, str] = field(default_factory=dict)
    clip_input: ClipInput = "resized"
    settings: Mapping[str, object] = field(default_factory=dict)
    evaluations: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def is_common(self) -> bool:
        """Whether it is the common recipe, so that both names stand for the same run."""
        return self.clip_input == "resized" and not (self.profiles or self.settings or self.evaluations)


# ------------------------------------------------------------------------------------------------ datasets


SPACE, PLANE = ("x", "y", "z"), ("x", "y", "score")
"""The channels of joints in space, and of joints in a picture."""


@dataclass(frozen=True)
class Skeleton:
    """A joint layout: names, parents and centre of the joints.

    Args:
        name: Name of the layout, such as `kinect-v2`.
        joints: Names of the V joints, in the order of the coordinates.
        parents: (V,) 0-based parent of each joint; the root is its own parent.
        centre: 0-based joint that cleaning puts at the origin.
        channels: What the three numbers of a joint are: x, y, z in metres; or, of a pose in a picture, x, y and the
            score of its detection, which is never rotated, centred or subtracted. Default: x, y, z.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    centre: int
    channels: tuple[str, str, str] = SPACE

    @property
    def planar(self) -> bool:
        """Whether joints lie in a picture: x, y and a score."""
        return self.channels == PLANE


@dataclass(frozen=True)
class Source:
    """One piece of raw input: a file, or a member of an archive that is read in place.

    Args:
        path: The file or the archive.
        member: Name of the member in the archive. Default: None, `path` is the file itself.
    """

    path: Path
    member: str | None = None

    @property
    def stem(self) -> str:
        """The file name without folder and suffix; for NTU RGB+D this is the clip's name."""
        return Path(self.member if self.member is not None else self.path).stem

    def __str__(self) -> str:
        return f"{self.path}" if self.member is None else f"{self.path}:{self.member}"


@dataclass(frozen=True)
class RawItem:
    """One unit of conversion: the sources that are read together.

    An NTU RGB+D file is one item. A PKU-MMD video and its label file are one item.

    Args:
        name: Name of the item, unique in the dataset.
        sources: The files by role, such as `skeleton` and `label`.
        facts: What `find` knows of the item from elsewhere (its path, a table). A change converts the item again.
            Default: none.
    """

    name: str
    sources: Mapping[str, Source]
    facts: tuple[tuple[str, int], ...] = ()
    """What `find` knows of it that is not in its files (from its path, a table): a change converts it anew."""


@dataclass(frozen=True)
class Clip:
    """One cleaned clip and its metadata.

    Args:
        name: Name of the clip, unique in the dataset.
        label: 0-based class.
        subject: Number of the performer; 0 where it is unknown.
        camera: Number of the camera; 0 where it is unknown.
        setup: Number of the setup; 0 where it is unknown.
        replication: Number of the replication; 0 where it is unknown.
        bodies: (M, F, V, 3) float32, metres, with M in {1, 2} and F the clip's own number of frames.
        source_digest: Checksum of the raw files that the clip comes from.
        log: What cleaning did: counts by rule. Default: nothing.
        picture: Height and width in pixels of the picture that joints lie in, if they are in pixels; what reads clips
            for methods then normalises them. Default: None.
    """

    name: str
    label: int  # 0-based
    subject: int
    camera: int
    setup: int
    replication: int
    bodies: np.ndarray
    source_digest: str
    log: Mapping[str, int] = field(default_factory=dict)  # what cleaning did: counts by rule
    picture: tuple[int, int] | None = None


class NameFacts(NamedTuple):
    """What the name of a clip says.

    Args:
        item: The raw file or video that the clip comes from.
        subject: Number of the performer. Default: 0, unknown.
        camera: Number of the camera. Default: 0, unknown.
        setup: Number of the setup. Default: 0, unknown.
        replication: Number of the replication. Default: 0, unknown.
        label: 0-based class. Default: None, the name does not say it (PKU-MMD).
    """

    item: str  # the raw file or video that the clip is of
    subject: int = 0
    camera: int = 0
    setup: int = 0
    replication: int = 0
    label: int | None = None


@dataclass(frozen=True)
class SetAside:
    """A clip that was not converted, and the reason.

    Args:
        name: Name of the clip.
        where: File, and line where there is one.
        reason: What is wrong, in one line.
        kind: `fault`: the user's file is wrong. `unknown`: its name or label has a number that the dataset does not
            have. `missing-list`: the dataset's authors list it as missing. `empty`: it holds no body. `errata`: it is a
            known error of the dataset. Default: `fault`.
    """

    name: str
    where: str  # file, and line where there is one
    reason: str
    kind: Literal["fault", "unknown", "missing-list", "empty", "errata"] = "fault"

    @property
    def is_fault(self) -> bool:
        """Whether the user's file, its name or its label is wrong."""
        return self.kind in ("fault", "unknown")


@dataclass(frozen=True)
class Found:
    """What a dataset's `find` saw in the raw folders.

    Args:
        items: The items to convert.
        set_aside: Clips that are known not to be usable before anything is read. Default: none.
        official_splits: {protocol: {"train": [video, ...], "test": [...]}}, for a dataset that ships its splits as
            files. Default: none.
        ignored: How many files are not of this dataset, by reason; this is not a fault. Default: none.
    """

    items: Sequence[RawItem]
    set_aside: Sequence[SetAside] = ()
    official_splits: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """{protocol: {"train": [video, ...], "test": [...]}} where the dataset ships its splits as files."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """What lay there and is not of this dataset, counted by reason: not a fault."""


@dataclass(frozen=True)
class Profile:
    """One way of cleaning.

    Args:
        name: Name of the profile, which is also the name of its folder.
        summary: What the profile does, in one line.
        parameters: Everything that decides the output. It is stored in every shard.
        absent_body: What stands for a second body that is not there: zeros, or a copy of the first body.
    """

    name: str
    summary: str
    parameters: Mapping[str, Any]
    absent_body: AbsentBody


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset: how its raw files become clips, what it consists of, and whom to cite.

    Args:
        name: Name on the command line, such as `ntu60`.
        title: Name in print, such as `NTU RGB+D 60`.
        classes: Names of the classes, by label.
        skeleton: Joint layout of the clips.
        profiles: Ways of cleaning, by name.
        default_profile: Name of the profile that is used unless another one is asked for.
        find: Finds the raw items. It is called with (paths, on_duplicate=, scratch=, progress=).
        convert: Converts an item and the bytes of its sources, under a profile, to clips.
        expected_clips: Number of clips of the complete dataset; None where it is unknown.
        where: How to get the raw files and where to put them, in one line.
        licence: Terms of use, in one line.
        citation: The publication to cite.
        expected_names: Returns the names of all clips of the complete dataset. Default: None, they are unknown.
        read_name: Reads a clip's name; raises ValueError for a name that is not of this dataset. Imported files need
            it, since they hold names only. Default: None, names say nothing.
        ships_splits: Whether files of the dataset, and not the clips' names, define the train/test splits. Default:
            False.
        frame_rate: Frames a second. Default: 30.
        generate: Returns items without raw files, from which `convert` makes the given number of clips (None: its own
            number). Default: None, the dataset has raw files.
        description: Text of the TOML file that describes the dataset; it is stored beside the prepared data. Default:
            None, the dataset is defined in Python.
        protocols: Names of the protocols for which the dataset itself lists the training clips, beside those that name
            it. Default: none.
        splits: From items with their facts to the train/test splits of these protocols, by item name. Default: None;
            imported files then say it.
        read_file: From the bytes of one raw file, of any name, and a profile to bodies (M, F, V, 3): `predict` reads
            recordings by it. Default: None.
        warm_up: Loads, or compiles, the code that reads many raw files fast. It is called before more than 32 MiB of
            them are converted, perhaps repeatedly; forked workers inherit what it loads. Default: None.
    """

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
    names_persons: bool = True  # whether a clip's subject is a person, and no scene
    performance: Callable[[str], str] | None = None
    """What all cameras' clips of one performance have in common, from a clip's name; None: class, subject, setup and
    replication."""
    frame_rate: float = 30.0  # frames a second
    generate: Callable[[int | None], Found] | None = None
    """Items without raw files; `convert` makes so many clips of them (None: a number of its own choice)."""
    description: str | None = None  # the TOML that it was made of; kept beside what is prepared
    protocols: tuple[str, ...] = ()
    splits: Callable[[Sequence[RawItem]], Mapping[str, Mapping[str, Sequence[str]]]] | None = None
    read_file: Callable[[bytes, Profile], np.ndarray] | None = None
    warm_up: Callable[[], None] | None = None

    def has_protocol(self, protocol: ProtocolSpec) -> bool:
        """Return whether a protocol is for the dataset.

        Args:
            protocol: The protocol.
        """
        own = protocol.name in self.protocols or (protocol.any_split and bool(self.protocols))
        return own or self.name in protocol.datasets


# ----------------------------------------------------------------------------------------------- protocols


@dataclass(frozen=True)
class Split:
    """A train/test split: int64 row numbers of the clip table, ascending.

    Args:
        train: Clips that a method may learn from.
        test: Clips to predict (the queries).
        bank: Labelled clips that evaluations compare with or train on, where these are not the training clips (novel
            classes). Default: None, the training clips.
    """

    train: np.ndarray
    test: np.ndarray
    bank: np.ndarray | None = None

    @property
    def labelled(self) -> np.ndarray:
        """The clips whose labels evaluations get: `bank`, or `train` where there is no bank."""
        return self.train if self.bank is None else self.bank


@dataclass(frozen=True)
class ProtocolSpec:
    """A protocol: one function from the clip table to a Split, and the counts it must give on complete datasets.

    Args:
        name: Name on the command line, such as `xsub`.
        title: Name in print, such as `x-sub`.
        rule: The rule, in one line.
        datasets: Names of the datasets that it is defined for.
        split: Takes the clip table, and the config where `Config` is set; returns the Split.
        expected: Numbers of (training, test) clips by dataset, when the dataset is complete.
        expected_bank: Number of bank clips by dataset, when the dataset is complete. Default: none.
        evaluations: What `--eval all` runs. Default: knn, linear, finetune, semi and clusters.
        Config: The pydantic model of the settings, which `--set protocol.key=value` changes. Default: None, no
            settings.
        source: The paper or program that defines the rule, in one line. Default: empty.
        held_out: Column of the clip table in which training and test part differ, such as `subject`: whole values of it
            are held out of the training part where an epoch is chosen (`--select validation`). Default: None, there is
            no such part.
        any_split: Whether it is also for every dataset that brings a split of its own. Default: False.
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
    held_out: str | None = None
    any_split: bool = False


# --------------------------------------------------------------------------------------- methods, encoders


@runtime_checkable
class Encoder(Protocol):
    """An nn.Module that maps clips (B, 3, T, V, M) to features (B, dim).

    Optional methods: `tokens(x)` returns (B, M, S, V, D) for fine-tuning heads that work on tokens;
    `layer_of(parameter_name)` returns a layer number for layer-wise decay; `classify(x)` returns logits (B, classes) of
    an encoder that has learnt to classify; `set_drop_path(rate)` sets stochastic depth.

    Attributes:
        dim: Width of the features.
        frames: T, the number of frames that the encoder takes.
    """

    dim: int
    frames: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (B, dim) of clips (B, 3, T, V, M) float32, metres."""


class TrainingClips(Protocol):
    """The training part as a method sees it: no test clip is in it, and labels only for methods with `needs_labels`.

    `rows` are the numbers of clips in the part, from 0 to len - 1.

    Attributes:
        num_joints: V, the number of joints.
        num_classes: Number of classes of the dataset.
        ids: (N,) int64 numbers of the clips in the whole dataset.
    """

    num_joints: int
    num_classes: int
    ids: torch.Tensor

    def __len__(self) -> int:
        """Return the number of clips."""

    @property
    def skeleton(self) -> Skeleton:
        """The joint layout: names, parents and centre joint."""
        ...

    @property
    def labels(self) -> torch.Tensor:
        """The classes (N,) int64; refused unless the method says `needs_labels = True`."""
        ...

    @property
    def stream(self) -> str:
        """What the encoder takes: joint, bone or motion (`--stream`)."""
        ...

    def whole(self, rows: torch.Tensor, frames: int, keep: float = 1.0, stream: str | None = None) -> torch.Tensor:
        """Return centre crops of clips, resized.

        Args:
            rows: (B,) int64 numbers of clips in the part.
            frames: T of the result.
            keep: Share of each clip's frames that is kept, from 0 to 1. Default: 1.
            stream: What the clips hold; "joint" for a method that augments joints and then makes the stream itself, by
                `augment.as_stream`. Default: None, what the encoder takes.

        Returns:
            (B, 3, frames, V, 2) float32, metres.
        """
        ...

    def cropped(
        self,
        rows: torch.Tensor,
        frames: int,
        max_angle: float = 0.3,
        shares: tuple[float, float] = (0.5, 1.0),
        stream: str | None = None,
    ) -> torch.Tensor:
        """Return random crops of clips, resized and rotated at random: the training clips of stage 1.

        Args:
            rows: (B,) int64 numbers of clips in the part.
            frames: T of the result.
            max_angle: Largest rotation about each axis, in radians; 0 for none. Default: 0.3.
            shares: The smallest and the largest share of a clip's frames in a crop. Default: half and all.
            stream: What the clips hold, as in `whole`. Default: None, what the encoder takes.

        Returns:
            (B, 3, frames, V, 2) float32, metres.
        """
        ...


class Run(Protocol[ConfigT_co]):
    """What a method gets beside the clips; `Run[MyConfig]` has a `config` of that type.

    Random numbers come from torch's global generators, which `train` seeds before every step. A resumed run therefore
    draws the same numbers as a run that was never interrupted.
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
        """The device that holds the clips, and that the method's modules must be moved to."""
        ...

    @property
    def start(self) -> torch.nn.Module | None:
        """The encoder to start from (`--init`), of one of the methods in `starts_from`; None without one."""
        ...

    def train(self, stage: Stage) -> None:
        """Train a stage to its end, resuming from its last checkpoint; `stage.module` then holds the result.

        Args:
            stage: The stage to train.
        """
        ...


@runtime_checkable
class Method(Protocol[ConfigT_contra]):
    """A method: a name, a pydantic Config, and fit.

    Optional attributes that change what is run: `Config.preset(name, dataset)` returns the settings of a preset;
    `needs_labels` asks for the training labels; `trains = False` says that fit trains nothing by design;
    `build(config, num_joints)` returns the encoder without training, to try it before fit and to load it from a
    checkpoint; `starts_from` names the methods whose encoders can replace the first stage, which fit then finds in
    `run.start`; `evaluations` names what to run beside the protocol's evaluations ("classifier" where the encoder
    classifies).

    The optional attribute `recipe` (a `Recipe`) says how the method's own paper measures, for `--recipe own`.

    Optional attributes that lists, records and reports print: `citations` (the papers, the method's own first), `costs`
    (by preset), and `official_checkpoints` (programs whose checkpoints its stages can be written as: "mamp", "stars").
    A subclass does not inherit `official_checkpoints`, since it trains something else.

    Attributes:
        name: Name on the command line.
        Config: The settings, each with a default.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def fit(self, clips: TrainingClips, run: Run[ConfigT_contra]) -> Encoder:
        """Train on the training part.

        Args:
            clips: The training part, with labels only if the method says `needs_labels = True`.
            run: Config, seed and device, and `train` for stages that are logged, checkpointed and resumed.

        Returns:
            The trained encoder, an nn.Module from clips (B, 3, T, V, M) to features (B, dim).
        """
        ...


@runtime_checkable
class Evaluation(Protocol[ConfigT_contra]):
    """An evaluation: from an encoder and both parts to predictions for the test part, whose labels it never sees.

    The optional attribute `source` names the paper or program whose definition the evaluation follows, in one line. It
    is a string literal, so that lists read it without importing anything. The optional attribute `selects` names the
    ways to choose an epoch that it knows beside "last" (`Select`): where `subject.looked_at` names a part, its stages
    classify the clips `subject.part(subject.looked_at)` in `Stage.classify`, and its outcomes have these stages. The
    optional attribute `beside`, a literal, names evaluations: where a protocol has one of them, `--eval every` runs
    this one, too.

    Attributes:
        name: Name on the command line.
        Config: The settings, each with a default.
    """

    name: ClassVar[str]
    Config: ClassVar[type[BaseModel]]

    def run(self, subject: Subject[ConfigT_contra]) -> list[Outcome]:
        """Predict the classes (or clusters) of the test clips.

        Args:
            subject: The encoder, the labelled part, the test part without labels, `features` of both, and a run of its
                own: `subject.run.config`, `.device`, `.train(stage)`.

        Returns:
            One outcome for each variant of its settings, such as each k of k-NN.
        """
        ...
