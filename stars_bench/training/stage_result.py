"""What a finished stage of training leaves for the records. Needs no torch, so that records can read it without."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StageResult:
    """A finished stage, as the records state it.

    Attributes:
        name: Name of the stage.
        key: Digest of all that decides its result.
        seconds: Time that its training took, wherever it was trained.
        samples: Clips that its steps were given.
        peak_bytes: Largest GPU memory of a process; None on a CPU.
        checkpoint_digest: SHA-256 (hex) of its checkpoint.
        reused: Whether it was finished before, by this run or another.
        processes: How many processes trained it.
        micro_batches: Into how many parts its batches were cut.
        code: Digest of the source that it depends on.
        state: Digest of its module's values when training began.
        epoch: The epoch that was chosen; None: the last.
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
    epoch: int | None = None
