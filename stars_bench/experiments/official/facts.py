"""What a checkpoint of MAMP or STARS says of itself beside its weights.

MAMP's files hold the program's arguments (`args`, an argparse.Namespace of plain values) and the epoch; STARS's hold
weights alone, and their names tell the objective.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DATASETS = {"NTU60": "ntu60", "NTU120": "ntu120", "PKUv1": "pku1", "PKUv2": "pku2"}
"""What the released configurations call the datasets in their files' names, and their names here."""
PROTOCOLS = {"XSub": "xsub", "XView": "xview", "XSet": "xset"}
DATA_FILE = re.compile(rf"({'|'.join(DATASETS)})_({'|'.join(PROTOCOLS)})\.npz$")
PROGRAMS = {"model_mamp.": "mamp", "model_mae.": "mae"}
"""How `args.model` begins, and the method that it trains."""


@dataclass(frozen=True)
class OfficialFacts:
    """Facts of an official checkpoint. None: the file does not say.

    Args:
        program: "MAMP" or "STARS".
        stage: "pretrain", "finetune" or "linprobe" of MAMP; "tuning" of STARS.
        method: The registered method that the encoder was trained by.
        labels_seen: Whether labels have changed the encoder.
        dataset: Registered name of what it was trained on.
        protocol: Registered name.
        stream: Joint, bone or motion.
        epoch: As the program counts, from 0.
        heads: Attention heads.
    """

    program: str
    stage: str
    method: str | None
    labels_seen: bool
    dataset: str | None = None
    protocol: str | None = None
    stream: str | None = None
    epoch: int | None = None
    heads: int | None = None

    @property
    def told(self) -> str:
        """One line for people; empty where the file says nothing beside its weights."""
        trained = None if self.dataset is None else f"trained on {self.dataset} {self.protocol}"
        epoch = None if self.epoch is None else f"epoch {self.epoch}"
        parts = [part for part in (trained, epoch) if part]
        return f"{self.program}, {', '.join([self.stage, *parts])}, as the file says" if parts else ""


def facts_of(content: Mapping[str, Any], program: str, stage: str, method: str | None) -> OfficialFacts:
    """Read the facts of a file.

    Args:
        content: What the file holds.
        program: That wrote it, as the names of its tensors show.
        stage: As the names of its tensors show.
        method: As the names of its tensors show; the arguments of a pre-training decide between MAMP and MAE.

    Returns:
        The facts. An argument of another form than the program's counts as not there.
    """
    arguments, epoch = content.get("args"), content.get("epoch")
    feeder = _mapping(arguments, "train_feeder_args")
    path, model = feeder.get("data_path"), getattr(arguments, "model", None)
    found = DATA_FILE.search(path) if isinstance(path, str) else None
    if method is not None and isinstance(model, str):
        method = next((name for start, name in PROGRAMS.items() if model.startswith(start)), method)
    heads = _mapping(arguments, "model_args").get("num_heads")
    return OfficialFacts(
        program=program,
        stage=stage,
        method=method,
        labels_seen=stage == "finetune",
        dataset=DATASETS[found[1]] if found else None,
        protocol=PROTOCOLS[found[2]] if found else None,
        stream=_stream(feeder),
        epoch=epoch if type(epoch) is int and epoch >= 0 else None,
        heads=heads if type(heads) is int and heads > 0 else None,
    )


def says_its_program(content: Mapping[str, Any]) -> bool:
    """Whether the arguments in a file tell MAMP from MAE, whose tensors have the same names."""
    model = getattr(content.get("args"), "model", None)
    return isinstance(model, str) and model.startswith(tuple(PROGRAMS))


def _stream(feeder: Mapping[str, Any]) -> str | None:
    """The input, where the feeder's two switches are there."""
    motion, bone = feeder.get("vel"), feeder.get("bone")
    if type(motion) is not bool or type(bone) is not bool or (motion and bone):
        return None
    return "motion" if motion else "bone" if bone else "joint"


def _mapping(arguments: object, name: str) -> Mapping[str, Any]:
    value = getattr(arguments, name, None)
    return value if isinstance(value, Mapping) else {}
