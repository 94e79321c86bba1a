"""The layout of a pack: a zip archive with the runs' own layout below runs/, and the checksums of all files.

pack.json   what it is, and size and SHA-256 of every other file; the first entry, not compressed
README.md   its results as a table
runs/DATASET/PROTOCOL/METHOD/KEY/seedN/
    packed.json  config.toml  log.jsonl  records/  predictions/
    encoder/     config.json  model.safetensors  training_clips.txt  README.md
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1
MANIFEST, README, PACKED = "pack.json", "README.md", "packed.json"
TEXTS = (".json", ".toml", ".jsonl", ".txt", ".md")
"""Suffixes of files that are compressed; arrays are, and weights do not get smaller."""
_PART = r"(?!\.)[\w.-]+"
SEED_FOLDER = re.compile(rf"runs/(?:{_PART}/){{4}}seed\d+")
FILE = re.compile(
    rf"(?P<seed>{SEED_FOLDER.pattern})/(?:packed\.json|config\.toml|log\.jsonl|records/{_PART}\.json"
    rf"|predictions/{_PART}\.npz|encoder/(?:config\.json|model\.safetensors|training_clips\.txt|README\.md))"
)
"""What a pack may hold below runs/; no other file is ever written from one."""


class PackedFile(BaseModel):
    """What the manifest says of a file.

    Args:
        size: Bytes.
        sha256: Checksum, hexadecimal.
    """

    model_config = ConfigDict(extra="forbid")

    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Manifest(BaseModel):
    """What pack.json holds.

    Args:
        generator: What wrote the pack.
        schema_version: The form of the pack.
        version: Version of stars-bench that wrote it.
        files: All other files by their names in the archive.
    """

    generator: str
    schema_version: Literal[1] = 1
    version: str
    files: dict[str, PackedFile]
