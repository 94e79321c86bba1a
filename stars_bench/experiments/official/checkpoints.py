"""Checkpoints of the official programs (github maoyunyao/MAMP, TaatiTeam/STARS): in and out, tensor by tensor.

MAMP writes {"model": weights, "optimizer", "epoch", "scaler", "args"}, of a pre-trained, a fine-tuned or a linearly
probed encoder; STARS writes the weights alone, the encoder's names under `encoder_student.`. In comes the encoder, with
every other tensor accounted for; out goes what a stage of ours has trained, under the names that those programs load.
"""

from __future__ import annotations

import argparse
import pickle
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor

from stars_bench.errors import StarsBenchError, of_validation, one_line, printable
from stars_bench.evaluation.linear import LinearHead
from stars_bench.experiments.official.facts import OfficialFacts, facts_of, says_its_program
from stars_bench.io import allowance
from stars_bench.io.files import atomic_path
from stars_bench.io.sealed import is_io_error
from stars_bench.io.untrusted import safetensors_files, torch_files
from stars_bench.models.layers.encoder import SEGMENT
from stars_bench.models.layers.supervision import ActionHead
from stars_bench.models.mamp import EncoderConfig

HEADS = 8
WIDTH = 256
"""Heads and width of all published models. The weights do not show the heads: for another width they must be told."""
HEADS_NOTE = f"{HEADS} attention heads, as published: the file does not say (--set heads=N)"

WRAPPED = "module."
"""What torch's parallel wrappers put in front of every name."""

SIZED = {"joints_embed.proj.bias": 1, "blocks.0.mlp.fc1.bias": 1, "temp_embed": 4, "pos_embed": 4}
"""The tensors that the encoder's size is read from, and how many dimensions they have."""


@dataclass(frozen=True)
class Layout:
    """How one of the programs names its weights.

    Args:
        title: The program.
        method: The registered method that it trains; None: the names do not tell.
        stage: Of the methods whose `official_checkpoints` name the program, what trains the same weights (mae's first
            stage predicts something else); of a layout that is only read, the program's own.
        prefix: Stands before the encoder's names.
        unused: What else it writes that no encoder needs, as regular expressions by what it is called.
        ours: Prefixes of our names, and what they are there; empty: it is only read.
        classifier: Stands before the names of a classifier, which is kept; empty: there is none.
    """

    title: str
    method: str | None
    stage: str
    prefix: str
    unused: Mapping[str, str] = field(default_factory=dict)
    ours: Mapping[str, str] = field(default_factory=dict)
    classifier: str = ""


LAYOUTS = {
    "mamp": Layout(
        "MAMP",
        method="mamp",
        stage="stage1",
        prefix="",
        unused={"decoder": r"decoder_.+", "mask token": "mask_token"},
        ours={"encoder.": "", "decoder_": "decoder_", "mask_token": "mask_token"},
    ),
    "stars": Layout(
        "STARS",
        method="stars",
        stage="stage2",
        prefix="encoder_student.",
        unused={
            "head": r"encoder_student\.head\.(projector|predictor)\..+",
            "mask token": r"encoder_student\.masked_embed",
            "queue": r"queue(_ptr|_id)?",
        },
        ours={
            "encoder.": "encoder_student.",
            "head.": "encoder_student.head.",
            "queue.vectors": "queue",
            "queue.ids": "queue_id",
            "queue.pointer": "queue_ptr",
        },
    ),
}


STUDENT, TEACHER = LAYOUTS["stars"].prefix, r"encoder_teacher\..+"
READ = {
    "moco": Layout(
        "STARS with MoCo",
        method="moco-tuning",
        stage="tuning",
        prefix=STUDENT,
        unused={"head": LAYOUTS["stars"].unused["head"], "teacher": TEACHER, "queue": r"queue(_ptr)?"},
    ),
    "dino": Layout(
        "STARS with DINO",
        method="dino-tuning",
        stage="tuning",
        prefix=STUDENT,
        unused={"head": r"encoder_student\.head\.(weight|bias)", "teacher": TEACHER},
    ),
    "finetune": Layout("MAMP's fine-tuning", method=None, stage="finetune", prefix="", classifier="head."),
    "linprobe": Layout("MAMP's linear probe", method=None, stage="linprobe", prefix="", classifier="head.fc."),
}
"""Layouts that are only read, beside those that are written, too."""
CONTAINERS = ("model", "state_dict")
"""Entries that hold the weights where they are not the file itself; STARS's program reads the second."""

METHOD_NOTE = "taken for MAMP's: without args, a file of MAMP and one of MAE look alike"
TUNED_NOTE = "the file does not say whether the encoder was tuned, or the heads alone on the encoder of stage 1"


@dataclass(frozen=True)
class OfficialEncoder:
    """The encoder of an official checkpoint.

    Args:
        facts: What the file says of itself.
        state: Weights under our names, which are the official ones, in float32; `head.` those of a classifier.
        size: Frames, dim, depth, mlp_ratio, and heads where they are known.
        notes: What was left, and what was assumed.
    """

    facts: OfficialFacts
    state: Mapping[str, Tensor]
    size: Mapping[str, float]
    notes: tuple[str, ...]


def load(path: Path) -> Mapping[str, Any]:
    """Return the content of a file of torch.save: tensors, plain containers and plain argparse.Namespaces.

    Nothing else is unpickled and nothing that a file names is called (torch's weights_only).

    Raises:
        StarsBenchError: It holds anything else, is damaged, or is no such file.
    """
    if path.suffix.lower() == safetensors_files.SUFFIX:
        weights = safetensors_files.load(path)
        return weights if _has(weights, STUDENT) else {"model": weights}  # as STARS's file, else as MAMP's
    try:
        content = torch_files.load(path, classes=[argparse.Namespace])
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = printable(named[1]) if named else "something that is neither a tensor nor plain data"
        raise StarsBenchError(
            f"{path}: refused, nothing was run: it holds {what}; save its weights alone, with "
            "torch.save({'model': weights}) of MAMP's, torch.save(weights) of STARS's"
        ) from error
    except Exception as error:  # a damaged file can fail in any way
        if is_io_error(error) or isinstance(error, StarsBenchError):
            raise
        if allowance.memory_is_refused(error):
            raise allowance.too_little_memory(path, error) from error
        raise StarsBenchError(f"{path}: cannot be read as a checkpoint ({one_line(error)})") from error
    if not isinstance(content, Mapping):
        raise StarsBenchError(f"{path}: holds no checkpoint but a {type(content).__name__}")
    return content


def encoder_of(content: Mapping[str, Any], path: Path) -> OfficialEncoder:
    """Return the encoder in what `load` has read from `path`.

    Raises:
        StarsBenchError: Neither MAMP's nor STARS's; a tensor is missing, of a wrong shape, or of no known part.
    """
    layout, weights, beside = _layout(content, path)
    unused, strange = Counter[str](), list[str]()
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise StarsBenchError(f"{path}: {printable(str(name))} is no tensor but a {type(value).__name__}")
        part = next((part for part, pattern in layout.unused.items() if re.fullmatch(pattern, name)), None)
        if part is not None:
            unused[part] += 1
        elif name.startswith(layout.prefix):
            state[_our_name(name, layout)] = _weights(value, name, path)
        else:
            strange.append(name)
    if strange:
        raise StarsBenchError(f"{path}: {layout.title} has no tensors like {_few(strange)}")
    of_head = {name for name in state if layout.classifier and name.startswith("head.")}
    size = _checked_size({name: state[name] for name in state.keys() - of_head}, layout, path)
    if layout.classifier:
        _check_classifier(state, layout, size, path)
    program, stage = ("MAMP", layout.stage) if not layout.prefix else ("STARS", "tuning")
    facts = facts_of(content, program, "pretrain" if layout is LAYOUTS["mamp"] else stage, layout.method)
    heads, said = _heads(facts, int(size["dim"]))
    if layout is LAYOUTS["mamp"] and not says_its_program(content):
        said = (*said, METHOD_NOTE)
    wrapped = (f"read without {WRAPPED!r} in front",) if weights is not _contained(content) else ()
    return OfficialEncoder(
        facts=facts,
        state=state,
        size=size | heads,
        notes=(
            *_left(len(weights), unused, beside),
            *wrapped,
            *filter(None, [facts.told]),
            *said,
            *([TUNED_NOTE] if layout is LAYOUTS["stars"] else []),
        ),
    )


def interpolated(temp_embed: Tensor, segments: int) -> Tensor:
    """Return a temporal table (1, S, 1, D) for `segments` segments: bicubic along time, as both programs do it."""
    table = temp_embed.permute(0, 3, 1, 2)
    return F.interpolate(table, size=(segments, 1), mode="bicubic", align_corners=False).permute(0, 2, 3, 1)


def trains(method: type, program: str) -> bool:
    """Return whether a stage of this method trains the weights of an official program, as the class itself says.

    A subclass does not inherit this: it may train something else.
    """
    return program in vars(method).get("official_checkpoints", ())


def write(path: Path, layout: Layout, module: Mapping[str, Tensor]) -> int:
    """Write what a stage has trained (its module's state) for an official program; the number of tensors.

    Raises:
        StarsBenchError: The stage holds something that this program has no name for.
    """
    weights = {}
    for name, value in module.items():
        ours = next((prefix for prefix in layout.ours if name.startswith(prefix)), None)
        if ours is None:
            raise StarsBenchError(f"{path}: {layout.title} has no name for {name}")
        weights[layout.ours[ours] + name.removeprefix(ours)] = value
    # A stream, not a path: torch writes a path's (temporary) name into the file.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save({"model": weights} if layout.method == "mamp" else weights, stream)
    return len(weights)


def _contained(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the weights in a file, as they are named there; the content itself where no entry holds them."""
    return next((content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)), content)


def _layout(content: Mapping[str, Any], path: Path) -> tuple[Layout, Mapping[str, Any], list[str]]:
    """Return whose checkpoint it is, its weights without a wrapper's prefix, and what lies unused beside them."""
    found = _contained(content)
    weights = _unwrapped(found)
    used = () if found is content else (*CONTAINERS, "args", "epoch")
    beside = [] if found is content else sorted(str(name) for name in content if name not in used)
    if _has(weights, STUDENT):
        kind = "stars"
        if _has(weights, "encoder_teacher.") and not _has(weights, "queue_id"):
            kind = "moco" if _has(weights, "queue") else "dino" if _has(weights, f"{STUDENT}head.weight") else "stars"
        return (LAYOUTS | READ)[kind], weights, beside
    if found is content:
        raise StarsBenchError(
            f"{path}: is no encoder.pt of this project and no checkpoint of MAMP ('model') or STARS "
            "('encoder_student.')"
        )
    for kind, name in (("finetune", "head.fc1."), ("linprobe", "head.fc.1.")):
        if _has(weights, name):
            return READ[kind], weights, beside
    if head := [name for name in weights if str(name).startswith("head.")]:
        raise StarsBenchError(
            f"{path}: holds a classifier's head ({_few(head)}): its encoder may be tuned with labels; "
            "give the pre-trained checkpoint"
        )
    return LAYOUTS["mamp"], weights, beside


def _has(weights: Mapping[str, Any], prefix: str) -> bool:
    return any(str(name).startswith(prefix) for name in weights)


def _unwrapped(weights: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return weights without what a parallel wrapper has put in front of every name."""
    if not weights or not all(str(name).startswith(WRAPPED) for name in weights):
        return weights
    return {name.removeprefix(WRAPPED): value for name, value in weights.items()}


def _our_name(name: str, layout: Layout) -> str:
    if layout.classifier and name.startswith(layout.classifier):
        return "head." + name.removeprefix(layout.classifier)
    return name.removeprefix(layout.prefix)


def _weights(value: Tensor, name: str, path: Path) -> Tensor:
    """Return a tensor as float32, a BatchNorm's counter as it is."""
    if name.endswith(".num_batches_tracked") and value.dtype == torch.int64:
        return value.detach()
    if not (value.is_floating_point() and bool(value.isfinite().all())):
        raise StarsBenchError(f"{path}: {printable(name)} holds what are no weights ({value.dtype}, or not finite)")
    return value.detach().float()


def _check_classifier(state: Mapping[str, Tensor], layout: Layout, size: Mapping[str, float], path: Path) -> None:
    """Refuse a classifier that lacks a tensor, has one too many, or fits another encoder."""
    joints, dim = state["pos_embed"].shape[2], int(size["dim"])
    own = {name.removeprefix("head."): value for name, value in state.items() if name.startswith("head.")}
    last, hidden = own.get("fc2.bias", own.get("1.bias")), own.get("fc1.bias")
    with torch.device("meta"):
        classes = 1 if last is None else last.numel()
        probe, tuned = LinearHead(dim, classes), ActionHead(joints * dim, classes, 1 if hidden is None else len(hidden))
    expected = (probe if layout is READ["linprobe"] else tuned).state_dict()
    wrong = [name for name in own.keys() | expected.keys() if _shape(own, name) != _shape(expected, name)]
    if wrong:
        raise StarsBenchError(
            f"{path}: {layout.title}: missing, unknown or of a wrong shape: "
            f"{_few(layout.classifier + name for name in wrong)}"
        )


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(tensors[name].shape) if name in tensors else None


def _checked_size(state: Mapping[str, Tensor], layout: Layout, path: Path) -> dict[str, float]:
    """Return the encoder's size, read from shapes, after every other shape has been held against it."""

    def official(names: Iterable[str]) -> str:
        return _few(layout.prefix + name for name in names)

    if missing := [name for name in SIZED if name not in state]:
        raise StarsBenchError(f"{path}: {layout.title}'s encoder lacks {official(missing)}")
    if odd := [name for name, dimensions in SIZED.items() if state[name].ndim != dimensions]:
        raise StarsBenchError(f"{path}: of a wrong shape: {official(_shapes(state, odd))}")
    dim, hidden = (len(state[name]) for name in ("joints_embed.proj.bias", "blocks.0.mlp.fc1.bias"))
    size = {
        "frames": SEGMENT * state["temp_embed"].shape[1],
        "dim": dim,
        "depth": len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
        "mlp_ratio": hidden / max(dim, 1),
    }
    try:
        with torch.device("meta"):
            encoder = EncoderConfig.model_validate(size | {"heads": 1}).build(state["pos_embed"].shape[2])
    except ValidationError as error:
        raise StarsBenchError(f"{of_validation(error, str(path))}, read from the shapes of its tensors") from error
    expected = encoder.state_dict()
    if strange := state.keys() - expected.keys():
        raise StarsBenchError(f"{path}: {layout.title} has no tensors like {official(strange)}")
    if absent := expected.keys() - state.keys():
        raise StarsBenchError(f"{path}: {layout.title}'s encoder lacks {official(absent)}")
    if wrong := [name for name, value in expected.items() if value.shape != state[name].shape]:
        raise StarsBenchError(f"{path}: of a wrong shape: {official(_shapes(state, wrong, expected))}")
    return size


def _heads(facts: OfficialFacts, dim: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return the heads: from the program's own arguments, else as published; unknown for other widths."""
    if facts.heads is not None and dim % facts.heads == 0:
        return {"heads": facts.heads}, ()
    if dim != WIDTH:
        return {}, ()
    return {"heads": HEADS}, (HEADS_NOTE,)


def _left(total: int, of: Mapping[str, int], beside: Iterable[str]) -> tuple[str, ...]:
    """Return one line on what was not used; none where all was. `beside`: what a file holds beside weights."""
    parts = ", ".join(f"{part} {count}" for part, count in sorted(of.items()))
    lines = [f"{sum(of.values())} of {total} tensors ({parts})"] if of else []
    lines += [f"the entries {', '.join(map(printable, beside))}"] if beside else []
    return (f"not used: {' and '.join(lines)}",) if lines else ()


def _shapes(
    state: Mapping[str, Tensor], names: Iterable[str], expected: Mapping[str, Tensor] | None = None
) -> list[str]:
    """Return names with the shapes that they have, and with those that they should have."""
    told = {name: f"{name} {tuple(state[name].shape)}" for name in names}
    return [text + (f", not {tuple(expected[name].shape)}" if expected else "") for name, text in told.items()]


def _few(names: Iterable[str], shown: int = 3) -> str:
    """Return the first names, and how many more there are."""
    listed = sorted(map(printable, names))
    more = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + more
