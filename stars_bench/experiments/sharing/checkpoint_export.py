"""What a run has trained, for others: the encoder as safetensors, a stage as a checkpoint of an official program."""

from __future__ import annotations

from pathlib import Path

from stars_bench import registry
from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.official import checkpoints as official_checkpoints
from stars_bench.experiments.sharing import model_card
from stars_bench.io.files import path_part
from stars_bench.io.outputs import output_file
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.sealed import Damaged, read_json_lines
from stars_bench.records import store
from stars_bench.training import checkpoint, exported_encoder


def to_program(path: Path, layout: str, out: Path, seed: int = 0, overwrite: bool = False) -> int:
    """Write a run's stage as a checkpoint of MAMP ("mamp": stage 1) or STARS ("stars": stage 2).

    Args:
        path: The run's folder, its seedN folder or its encoder.pt.
        layout: "mamp" or "stars"; `to_safetensors` has the third.
        out: The file to write.
        seed: Which of several seeds. Default: 0.
        overwrite: Whether to replace an existing file. Default: False.

    Returns:
        The number of tensors.

    Raises:
        UsageError: There is no such layout or run, the run has not trained that stage as the program does, or `out`
            exists already.
    """
    if layout not in official_checkpoints.LAYOUTS:
        raise UsageError(f"--format {layout}: there are safetensors, {', '.join(official_checkpoints.LAYOUTS)}")
    out = output_file(out, overwrite=overwrite)
    form = official_checkpoints.LAYOUTS[layout]
    found = pretrained.find(path, seed)
    folder = RunFolder(found.path.parent)
    stages = _logged_stages(folder) if found.stages is None else found.stages
    file = folder.find_stage(form.stage, stages[form.stage]) if form.stage in stages else None
    if file is None:
        raise UsageError(f"{path}: has trained no {form.stage}, which is what a checkpoint of {form.title} holds")
    if not official_checkpoints.trains(registry.load("methods", found.target), layout):
        named = {name: registry.fact("methods", name, "official_checkpoints") for name in registry.BUILT_IN["methods"]}
        able = ", ".join(name for name, programs in named.items() if layout in (programs or ()))
        raise UsageError(
            f"{path}: the {form.stage} of {found.method} is not what {form.title} trains; that of {able} is"
        )
    return official_checkpoints.write(out, form, checkpoint.load(file)["module"])


def to_safetensors(path: Path, out: Path, seed: int = 0, overwrite: bool = False) -> Path:
    """Write a run's encoder as safetensors, with its config and a model card: out/DATASET-PROTOCOL.

    Args:
        path: The run's folder, its seedN folder or its encoder.pt.
        out: The folder to write to; one that is there may hold other encoders.
        seed: Which of several seeds. Default: 0.
        overwrite: Whether to replace an encoder of the same dataset and protocol. Default: False.

    Returns:
        The folder of the encoder.

    Raises:
        UsageError: There is no such run, or another encoder is there already.
        StarsBenchError: The encoder is damaged.
    """
    found = pretrained.find(path, seed)
    if found.is_official:
        raise UsageError(f"{found.path}: is an official checkpoint; evaluate it, and export that run")
    content = pretrained.content_of(found.path)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is no folder: name another --out")
    folder = out / path_part(f"{found.dataset}-{found.protocol}")
    there = exported_encoder.find(folder)
    if there is not None and not overwrite and checkpoint.digest_tensors(found.state) != _weights_at(there):
        raise UsageError(f"{folder}: holds another encoder already; --force replaces it")
    for name in exported_encoder.FILES if there is None and not overwrite else ():
        output_file(folder / name)
    records = [store.read_record(file) for file in RunFolder(found.path.parent).record_files()]
    exported_encoder.write(folder, content, model_card.card(content, found.method, records, found.path))
    return folder


def _weights_at(file: Path) -> str:
    try:
        return checkpoint.digest_tensors(exported_encoder.read(file)["encoder"])
    except StarsBenchError:
        return ""


def _logged_stages(folder: RunFolder) -> dict[str, str]:
    """Return the key of each stage that a run has trained last, for an encoder that does not name its stages.

    Raises:
        StarsBenchError: The log is damaged.
    """
    try:
        lines = read_json_lines(folder.log) if folder.log.exists() else []
    except Damaged as error:
        raise StarsBenchError(f"{error}, so the run's stages are unknown: its command writes the log again") from error
    return {line["stage"]: line["key"] for line in lines if "key" in line}
