"""What a finished stage of training leaves for the records. Needs no torch, so that records can read it without."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageResult:
    """A finished stage, as the records state it.

    Attributes:
        name: name of the stage.
        key: digest of all that decides its result.
        seconds: time that its training took, wherever it was trained.
        samples: clips that its steps were given.
        peak_bytes: largest GPU memory of a process; None on a CPU.
        checkpoint_digest: SHA-256 (hex) of its checkpoint.
        reused: whether it was finished before, by this run or another.
        processes: how many processes trained it.
        micro_batches: into how many parts its batches were cut.
        code: digest of the source that it depends on.
        state: digest of its module's tensors when training began.
    """

    name: str
    key: str
    seconds: float
    samples: int
    peak_bytes: int | None
    checkpoint_digest: str
    reused: bool
    processes: int = 1
    micro_batches: int = 1
    code: str | None = None
    state: str | None = None
