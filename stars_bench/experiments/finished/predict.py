"""Clips classified by a finished run: raw files or clip names in, the most likely actions out.

The run's encoder with the head that its `linear` evaluation trained; a method that has learnt to classify (`stgcn`,
`supervised`) says it itself. Clips are cleaned, cropped and turned into a stream as the run's test clips were.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stars_bench import registry
from stars_bench.api import DatasetSpec, Profile, Source
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.ntu import SKELETON_FILE, cleaned
from stars_bench.datasets.parsing.ntu import JOINTS
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.evaluation.classifier import OwnLogits
from stars_bench.evaluation.linear import LinearHead
from stars_bench.evaluation.subject import extract
from stars_bench.experiments import pretrained
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.inspection.raw_file import MEMBER, raw_source
from stars_bench.io.run_folder import RunFolder
from stars_bench.preparation.recordings import Recording, recordings
from stars_bench.records import store
from stars_bench.records.record import Record
from stars_bench.storage.pictures import SCORE, normalised
from stars_bench.storage.shards import PreparedDataset, open_dataset
from stars_bench.training import checkpoint

CROP = 0.95  # of every evaluation by default: the centre of a clip
RAW = (".skeleton", ".skeleton.txt")
HEAD = "head."
"""What the names of the linear head's tensors begin with in the checkpoint of its stage."""


@dataclass(frozen=True)
class Prediction:
    """The most likely actions of one clip.

    Args:
        clip: The clip, as it was asked for.
        actions: (name, probability) of the most likely actions, by softmax.
        truth: The true action. Default: None, unknown.
        frames: First and last frame of the window that was classified, from 1. Default: None, the whole clip.
    """

    clip: str
    actions: tuple[tuple[str, float], ...]
    truth: str | None = None
    frames: tuple[int, int] | None = None


class Probed(nn.Module):
    """Clips (B, 3, T, V, M) -> logits (B, classes): an encoder and a linear head on its features."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head, self.frames = encoder, head, int(cast(int, encoder.frames))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        return cast(Tensor, self.head(self.encoder(x).float()))


def predict(
    run: Path,
    clips: Sequence[str],
    data_dir: Path,
    seed: int = 0,
    top: int = 5,
    device: torch.device | str = "cpu",
    window: int | None = None,
    stride: int | None = None,
    keep: Callable[[DatasetSpec, Recording], None] | None = None,
) -> list[Prediction]:
    """Classify clips, or windows of long recordings, by a run.

    Args:
        run: The run's folder, a seedN folder or its encoder.pt.
        clips: `.skeleton` files (of NTU's format, under any name), folders and zip archives of them, members as
            ARCHIVE.zip:MEMBER; of a described dataset its own files and folders of them; or names of clips of the run's
            dataset as prepared in `data_dir`.
        data_dir: Where prepared datasets lie.
        seed: Seed of the run. Default: 0.
        top: Number of actions to return for each clip. Default: 5.
        device: Device of the encoder. Default: cpu.
        window: Frames of the windows that are classified one by one. Default: None, each clip as a whole.
        stride: Frames between the starts of two windows. Default: None, a quarter of the window.
        keep: Is given the dataset and each recording that was read, for a page. Default: None.

    Returns:
        One `Prediction` for each clip, or for each window of it, in their order; of a folder or an archive by path.

    Raises:
        UsageError: The run has nothing that can classify, there is no such clip, or no such window.
        StarsBenchError: A file is damaged.
    """
    if (window is not None and window < 1) or (stride is not None and (stride < 1 or window is None)):
        raise UsageError(f"--window {window} --stride {stride}: frames, at least 1; a stride needs a window")
    start = pretrained.find(run, seed)
    if start.dataset is None:
        raise UsageError(f"{run}: predict needs a run of this program, which knows its dataset and its classes")
    registry.check_from_file("datasets", start.dataset, start.path)
    spec: DatasetSpec = registry.load("datasets", start.dataset)
    records = store.read_records(start.path.parent).records
    named = records[0].dataset.profile if records else spec.default_profile
    profile = spec.profiles.get(named) or open_dataset(data_dir, spec.name, named).profile  # an imported one
    encoder = pretrained.rebuild(start, len(spec.skeleton.joints))
    how = _how_measured(start, records, "classifier" if hasattr(encoder, "classify") else "linear")
    model = _model(start, encoder, how, len(spec.classes)).to(device)
    reader = _Reader(spec, profile, data_dir)
    read = [one for clip in clips for one in reader.recordings(clip)]
    for one in read if keep is not None else ():
        keep(spec, one)  # type: ignore[misc]
    cut = [(one, at) for one in read for at in windows(one.bodies.shape[1], window, stride)]
    bodies = [_as_methods_get(one)[:, first:behind] for one, (first, behind) in cut]
    frames = [clip.shape[1] for clip in bodies]
    counts = [len(clip) for clip in bodies]
    offset = np.cumsum([0, *(count * length for count, length in zip(counts, frames, strict=True))])[:-1]
    joints = np.concatenate([clip.reshape(-1, *clip.shape[2:]) for clip in bodies])
    whole = ClipStore(
        joints,
        offset,
        np.array(frames),
        np.array(counts),
        profile.absent_body,
        device,
        start.stream or "joint",
        spec.skeleton,
        records[0].dataset.clip_input if records else "resized",
    )
    crop = CROP if how is None else how.evaluation.config["crop"]
    logits = extract(model, ClipPart(whole, np.arange(len(bodies))), crop)
    shares, order = logits.softmax(1).topk(min(top, logits.shape[1]))
    return [
        Prediction(
            one.name,
            tuple(zip([spec.classes[i] for i in best], share, strict=True)),
            None if one.label is None else spec.classes[one.label],
            None if window is None else (first + 1, behind),
        )
        for (one, (first, behind)), share, best in zip(cut, shares.tolist(), order.tolist(), strict=True)
    ]


def _as_methods_get(one: Recording) -> NDArray[np.float32]:
    """Return the bodies of a recording; those in pixels normalised."""
    if one.picture is None:
        return one.bodies
    return np.concatenate([normalised(one.bodies, *one.picture), one.bodies[..., SCORE:]], -1)


def windows(frames: int, window: int | None, stride: int | None) -> list[tuple[int, int]]:
    """Return the first frame and the one behind of each window; the last window ends with the recording.

    Args:
        frames: Frames of the recording; if fewer than a window, it is one window.
        window: Frames of a window. None: all.
        stride: Frames between two starts. None: a quarter of the window.
    """
    if window is None or frames <= window:
        return [(0, frames)]
    step = stride or max(window // 4, 1)
    starts = list(range(0, frames - window + 1, step))
    if starts[-1] + window < frames:
        starts.append(frames - window)
    return [(start, start + window) for start in starts]


def _model(start: Pretrained, encoder: nn.Module, how: Record | None, classes: int) -> nn.Module:
    if hasattr(encoder, "classify"):
        return OwnLogits(encoder)
    file = None if how is None else RunFolder(start.path.parent).find_stage("linear", how.stages[-1].key)
    if how is None or file is None:
        raise UsageError(
            f"{start.path.parent}: has no head that classifies; the same `run` once more with --eval linear adds one"
        )
    state = {name: value for name, value in checkpoint.load(file)["module"].items() if name.startswith(HEAD)}
    head = LinearHead(int(cast(int, encoder.dim)), classes, how.evaluation.config.get("batch_norm", True))
    head.load_state_dict({name.removeprefix(HEAD): value for name, value in state.items()})
    return Probed(encoder, head)


def _how_measured(start: Pretrained, records: Sequence[Record], evaluation: str) -> Record | None:
    """Return the newest record of an evaluation that measured this encoder and no other."""
    weights = checkpoint.digest_tensors(start.state)
    own = [one for one in records if one.evaluation.name == evaluation and one.weights in (None, weights)]
    return max(own, key=lambda record: record.finished, default=None)


def _found(clip: str) -> list[Source | str]:
    """Return the raw files that a word names, or the word where it is the name of a prepared clip.

    Raises:
        UsageError: There is no such file, or none of this kind in a folder or archive.
    """
    path = Path(clip)
    if path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip"):
        walked = sources.walk([path], SKELETON_FILE)
        files = sorted((source for name, source in walked if SKELETON_FILE.fullmatch(name)), key=str)
        if not files:
            raise UsageError(f"{clip}: no .skeleton file is there: {what_lies_there([path])}")
        return list(files)
    if path.is_file() or MEMBER.fullmatch(clip) or clip.lower().endswith(RAW):
        return [raw_source(clip)]
    return [clip]


class _Reader:
    """Clips of a dataset by name, and raw files, under a profile."""

    def __init__(self, spec: DatasetSpec, profile: Profile, data_dir: Path) -> None:
        self.spec, self.profile, self.data_dir = spec, profile, data_dir
        self.opened: PreparedDataset | None = None

    def recordings(self, clip: str) -> list[Recording]:
        """Return what a word stands for: a prepared clip, a file, or the files of a folder or an archive."""
        if self.spec.read_file is not None and Path(clip).exists():
            return recordings(self.spec, Path(clip), self.profile)
        return [self._prepared(one) if isinstance(one, str) else self._raw(one) for one in _found(clip)]

    def _prepared(self, clip: str) -> Recording:
        row = self.dataset.row_of(clip)
        label = int(self.dataset.table["label"].to_numpy()[row])
        return Recording(clip, self.dataset.clip(clip), label, self.dataset.picture(row))

    def _raw(self, clip: Source) -> Recording:
        if len(self.spec.skeleton.joints) != JOINTS or "cleaning" not in self.profile.parameters:
            raise UsageError(f"{clip}: a run on {self.spec.name} takes clips by name, not .skeleton files")
        try:
            return Recording(str(clip), cleaned(sources.read(clip), self.profile)[0])
        except ParseError as error:
            raise StarsBenchError(f"{clip}:{error.line}: {error.reason}") from error
        except NothingLeft as error:
            raise StarsBenchError(f"{clip}: {error}") from error

    @property
    def dataset(self) -> PreparedDataset:
        """The run's dataset as prepared here."""
        if self.opened is None:
            self.opened = open_dataset(self.data_dir, self.spec.name, self.profile.name)
        return self.opened
