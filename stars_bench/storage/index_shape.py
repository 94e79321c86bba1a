"""The form of the index of a prepared dataset: its keys and their types, which anybody's file is held to before use.

In: the text of an index.json of today's schema. Out: what is wrong with it in one line, or nothing.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stars_bench.api import Profile
from stars_bench.errors import of_validation, printable
from stars_bench.storage.quality import QualityReport
from stars_bench.storage.shard_file import NAME


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Shard(_Strict):
    file: str
    clips: int = Field(ge=0)
    rows: int = Field(ge=0)
    sha256: str
    columns: str = ""  # indexes of older versions have none


class _Index(_Strict):
    schema_version: int
    dataset: str
    profile: Profile
    joint_names: list[str]
    digest: str
    plan: str
    num_clips: int = Field(ge=0)
    expected_clips: int | None
    complete: bool
    shards: list[_Shard]
    official_splits: dict[str, dict[str, list[str]]]
    quality: QualityReport
    code: dict[str, Any]
    written: str
    checksum: str | None = None  # nor this


def fault_of(text: str, where: str) -> str:
    """Say what is wrong with the form of an index.

    Args:
        text: The JSON of the index.
        where: Its path, for the line.

    Returns:
        The first fault in one line; empty where there is none.
    """
    try:
        index = _Index.model_validate_json(text)
    except ValidationError as error:
        return of_validation(error, where)
    names = [shard.file for shard in index.shards]
    if strange := [name for name in names if not NAME.fullmatch(name)]:
        return f"{where}: {printable(repr(strange[0]))} is no name of a shard"
    return f"{where}: it lists a shard twice" if len(set(names)) < len(names) else ""
