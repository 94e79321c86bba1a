"""`stars_bench.pack` and `stars_bench.unpack`: the commands of the same names as functions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stars_bench.errors import for_python
from stars_bench.experiments.sharing import pack as packing
from stars_bench.experiments.sharing import unpack as unpacking
from stars_bench.experiments.sharing.pack import PackReport
from stars_bench.experiments.sharing.unpack import UnpackReport
from stars_bench.io.default_folders import as_path, runs_folder


@for_python
def pack(runs: str | Path | Sequence[str | Path], out: str | Path, *, overwrite: bool = False) -> PackReport:
    """Pack runs into one file to hand on, as `stars-bench pack` does.

    The file has records, predictions, settings, learning curves, and the encoders as safetensors with a model card. It
    has no data of clips, and no absolute paths of this machine.

    Args:
        runs: Folders of runs, or above several.
        out: The file to write.
        overwrite: Replace a file that no pack is. Default: False.

    Returns:
        What was packed.

    Raises:
        UsageError: A folder has no records, a setting is an absolute path, or `out` is there and no pack.
        StarsBenchError: A record was edited, or a file that it names is not the one that it was made with.
    """
    listed = [runs] if isinstance(runs, (str, Path)) else runs
    return packing.pack([as_path(run, "runs") for run in listed], as_path(out, "out"), overwrite=overwrite)


@for_python
def unpack(file: str | Path, runs_dir: str | Path | None = None) -> UnpackReport:
    """Unpack a pack into a folder of runs, as `stars-bench unpack` does. Nothing is overwritten.

    Args:
        file: The pack. It may come from anybody: what is no pack is refused before anything is written.
        runs_dir: The folder. Default: $STARS_BENCH_RUNS, else "runs" here or in a folder above.

    Returns:
        The folders of the seeds that are new, and of those that were there already.

    Raises:
        UsageError: A run is there already with other content; nothing is written.
        StarsBenchError: It is no pack, damaged, or holds what no pack has; nothing is written.
    """
    return unpacking.unpack(as_path(file, "file"), runs_folder(runs_dir))
