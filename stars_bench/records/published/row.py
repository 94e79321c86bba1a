"""One row of published.csv, checked: whose number it is, what was measured, and every place where it was read."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

Kind = Literal["paper", "authors", "third-party"]
"""Who prints a number: a named table (or the abstract) of the authors' paper, their repository or page, or others."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""First-hand sources before others."""

TASKS = {
    "linear": "recognition",
    "finetune": "recognition",
    "supervised": "recognition",
    "semi": "semi-supervised",
    "knn": "retrieval",
    "transfer_finetune": "transfer",
    "transfer_linear": "transfer",
    "oneshot_official": "one-shot",
    "oneshot": "one-shot",
    "fewshot_60novel": "few-shot",
    "zeroshot": "zero-shot",
    "zeroshot_generalized": "zero-shot",
    "segmentation": "segmentation",
    "detection": "detection",
}
"""The task of each evaluation."""
METRICS = (
    "top1",
    "mean class",
    "harmonic mean",
    "frame accuracy",
    "edit",
    "F1@50",
    "mAP_a (theta 0.5)",
    "mAP_v (theta 0.5)",
)
BETWEEN_SOURCES = " | "
FIRST_YEAR, LAST_YEAR = 2014, 2027
PLACE = r"^(github:[\w.-]+/[\w.-]+|https://|[\w-]+\.github\.io|a public note|review quoting|abstract of)"
"""How the place of a number begins: a repository, a page, or a text that quotes the paper."""

_Year = Annotated[Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)] | None, BeforeValidator(lambda text: text or None)]
_Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
_Place = Annotated[str, StringConstraints(pattern=PLACE)]


class PublishedRow(BaseModel):
    """One row, as the file has it.

    Attributes:
        method: Name as the source prints it, and in brackets what tells it from the method's other rows.
        year: Year of the publication; None where it is not known.
        kind: Who prints the number, by the first source.
        table: Number of the table in that source, or in the paper that it quotes; empty where it is not known.
        backbone: Network of the method; empty where it is not known.
        streams: Input streams, such as `J+M+B`.
        task: What is asked of the method.
        eval: How it is measured.
        k_or_percent: Neighbours of k-NN, or share of labels; empty where there is none.
        pretrain_dataset: Data that the encoder was trained on: "same", "none" or a name.
        dataset: Data of the test.
        protocol: Training and test parts.
        metric: What the value is.
        value: The number, in percent.
        source: Places where it was read, first-hand ones first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: _Text
    year: _Year
    kind: Kind
    table: Annotated[str, StringConstraints(pattern=r"^([IVXL]+|\d+)?$")]
    backbone: str
    streams: _Text
    task: str
    eval: str
    k_or_percent: Annotated[str, StringConstraints(pattern=r"^(\d+%?)?$")]
    pretrain_dataset: _Text
    dataset: _Text
    protocol: _Text
    metric: str
    value: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]
    source: Annotated[
        tuple[_Place, ...], BeforeValidator(lambda text: text.split(BETWEEN_SOURCES)), Field(min_length=1)
    ]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.metric not in METRICS:
            raise ValueError(f"metric {self.metric!r} is none of {', '.join(METRICS)}")
        if TASKS.get(self.eval) != self.task:
            raise ValueError(f"the task of eval {self.eval!r} is {TASKS.get(self.eval)!r}, not {self.task!r}")
        if self.eval == "semi" and not self.k_or_percent.endswith("%"):
            raise ValueError("a semi-supervised number needs its share of labels, such as 10%")
        if len(set(self.source)) < len(self.source):
            raise ValueError("a source stands there twice")
        if self.kind == "paper" and not self.table and not self.source[0].startswith("abstract of"):
            raise ValueError("kind paper needs the number of the table")
        return self

    @property
    def key(self) -> tuple[object, ...]:
        """What no two rows share: who reports which measurement, and the number."""
        return (
            self.method, self.streams, self.eval, self.k_or_percent, self.pretrain_dataset,
            self.dataset, self.protocol, self.metric, self.value,
        )  # fmt: skip
