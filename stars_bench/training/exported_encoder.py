"""A trained encoder as a folder in the layout of Hugging Face's hub: what encoder.pt of a run holds, out and in.

config.json         method, settings, what it was trained on, and the checksums of all of this
model.safetensors   the weights
training_clips.txt  names of the clips that it was trained on, where they are known
README.md           the model card
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from stars_bench.errors import StarsBenchError, reading
from stars_bench.io.disk import check_room, full_is_told
from stars_bench.io.files import atomic_path, digest_json, digest_lines, write_json, write_text
from stars_bench.io.sealed import Damaged, refuse_odd
from stars_bench.io.untrusted import safetensors_files
from stars_bench.training import checkpoint

CONFIG, WEIGHTS, CLIPS, CARD = "config.json", "model.safetensors", "training_clips.txt", "README.md"
FILES = (CONFIG, WEIGHTS, CLIPS, CARD)
SCHEMA_VERSION = 1
MODEL_TYPE = "stars-bench"
LARGEST_TEXT = 64 << 20
"""Bytes: NTU RGB+D 120 has 2.4 MB of clip names."""


def write(folder: Path, content: Mapping[str, Any], card: str) -> None:
    """Write an encoder; what is there of these names is replaced.

    Args:
        folder: The folder.
        content: What encoder.pt holds.
        card: The model card.

    Raises:
        StarsBenchError: It holds something else than tensors.
    """
    from safetensors.torch import save_file

    weights: Mapping[str, Tensor] = content["encoder"]
    if odd := [name for name, value in weights.items() if not isinstance(value, Tensor)]:
        raise StarsBenchError(f"{folder}: {odd[0]} of the encoder is no tensor, which safetensors cannot hold")
    check_room(folder / WEIGHTS, int(checkpoint.MARGIN * checkpoint.num_bytes(weights)))
    with full_is_told(folder / WEIGHTS), atomic_path(folder / WEIGHTS) as temporary:
        # Clones: tensors that share memory, as tied weights do, are written as two.
        apart = {name: weights[name].detach().cpu().contiguous().clone() for name in sorted(weights)}
        save_file(apart, temporary, metadata={"format": "pt"})
    clips = content["train"]
    if clips is None:
        (folder / CLIPS).unlink(missing_ok=True)
    else:
        write_text(folder / CLIPS, f"{clips}\n")
    write_json(folder / CONFIG, _config(content, weights))
    write_text(folder / CARD, card)


def _config(content: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    facts = {name: value for name, value in content.items() if name not in ("encoder", "train", "schema_version")}
    clips = content["train"]
    config = {
        "model_type": MODEL_TYPE,
        "schema_version": SCHEMA_VERSION,
        **facts,
        "classes": None if content["classes"] is None else content["classes"].split("\n"),
        "training_clips": None if clips is None else digest_lines(clips.split("\n")),
        "weights": checkpoint.digest_tensors(weights),
    }
    return config | {"self_digest": digest_json(config)}


def find(path: Path) -> Path | None:
    """Return the file of weights that a path means: itself, a folder with one, or a folder above exactly one.

    Raises:
        StarsBenchError: Several folders in it have one.
    """
    if path.is_file():
        return path if path.suffix == safetensors_files.SUFFIX and (path.parent / CONFIG).exists() else None
    if (path / WEIGHTS).exists():
        return path / WEIGHTS
    below = sorted(path.glob(f"*/{WEIGHTS}"))
    if len(below) > 1:
        raise StarsBenchError(f"{path}: holds {len(below)} encoders: give one of {_names(below)}")
    return below[0] if below else None


def _names(files: list[Path]) -> str:
    return ", ".join(file.parent.name for file in files)


def read(file: Path) -> dict[str, Any]:
    """Read an encoder.

    Args:
        file: Its file of weights; the others lie beside it.

    Returns:
        What encoder.pt of its run holds.

    Raises:
        Damaged: A file is not as it was written.
        StarsBenchError: A file is missing, or of a newer version.
    """
    config = _read_config(file.parent / CONFIG)
    weights = safetensors_files.load(file)
    if checkpoint.digest_tensors(weights) != config["weights"]:
        raise Damaged(f"{file}: damaged: its weights are not those of {CONFIG} beside it")
    clips = None
    if config["training_clips"] is not None:
        clips = _text(file.parent / CLIPS).removesuffix("\n")
        if digest_lines(clips.split("\n")) != config["training_clips"]:
            raise Damaged(f"{file.parent / CLIPS}: damaged: its clips are not those of {CONFIG} beside it")
    own = ("model_type", "schema_version", "training_clips", "weights", "self_digest")
    facts = {name: value for name, value in config.items() if name not in own}
    classes = None if config["classes"] is None else "\n".join(config["classes"])
    return {
        **facts,
        "encoder": weights,
        "train": clips,
        "classes": classes,
        "schema_version": checkpoint.SCHEMA_VERSION,
    }


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise StarsBenchError(f"{path}: not JSON that an encoder's config may be ({error})") from error
    if not isinstance(config, dict) or config.get("model_type") != MODEL_TYPE:
        raise StarsBenchError(f"{path}: is no config of an encoder that stars-bench export-checkpoint wrote")
    version = config.get("schema_version")
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise StarsBenchError(f"{path}: is of a newer stars-bench (schema {version!r:.20}): update it")
    if digest_json({name: value for name, value in config.items() if name != "self_digest"}) != config.get(
        "self_digest"
    ):
        raise Damaged(f"{path}: was edited after it was written (its own checksum does not match): export it again")
    return config


def _text(path: Path) -> str:
    try:
        refuse_odd(path, LARGEST_TEXT)
        with reading(path):
            return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StarsBenchError(f"{path}: is missing: it belongs to the weights beside it") from error
    except UnicodeDecodeError as error:
        raise Damaged(f"{path}: damaged: not a text in UTF-8") from error
