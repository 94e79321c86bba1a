"""Datasets without Python: a TOML file describes a folder of files, of text, arrays or JSON (docs/adding.md).

`describe` makes a spec from such a file. The description is stored beside the prepared data
(DATA_DIR/NAME/dataset.toml), so that the dataset's name is known there (`registry.add_data_dir`).
"""

from __future__ import annotations

import json
import tomllib
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from stars_bench.api import DatasetSpec, Profile
from stars_bench.datasets.custom import files
from stars_bench.datasets.custom.model import Description
from stars_bench.errors import UsageError, of_validation, one_line
from stars_bench.io import files as provenance
from stars_bench.io.sealed import refuse_odd

DECIDES = ("classes", "coordinates", "skeleton", "numbers")
"""Keys of a description that decide its clips; what [files] says of them stands with each raw file."""


def describe(path: Path) -> DatasetSpec:
    """Return the dataset that a TOML file describes.

    Raises:
        UsageError: The file does not exist, is not TOML, or has a wrong key: file, key and fault in one line.
    """
    try:
        refuse_odd(path, provenance.LARGEST_TOML)
        text = path.read_text(encoding="utf-8")
        description = Description.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise UsageError(of_validation(error, str(path))) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as a description ({one_line(error)})") from error
    folder = Path(description.folder or path.resolve().parent)
    profiles = [
        _profile("plain", "coordinates as they are", description, centre=False),
        _profile("centered", "the centre joint of the first body stands at the origin first", description, centre=True),
    ]
    return DatasetSpec(
        name=description.name,
        title=description.title,
        classes=description.classes,
        skeleton=description.skeleton_of_clips,
        profiles={profile.name: profile for profile in profiles},
        default_profile="plain",
        find=partial(files.find, description=description, folder=folder),
        convert=partial(files.convert, description=description),
        expected_clips=description.clips,
        where=description.where,
        licence=description.licence,
        citation=description.cited,
        read_name=partial(files.read_name, description=description),
        read_file=partial(files.read_file, description=description),
        protocols=tuple(description.splits),
        splits=partial(files.splits, description=description, folder=folder),
        frame_rate=description.frame_rate,
        description=text if description.folder else f"folder = {_quoted(str(folder))}\n{text}",
    )


def _profile(name: str, summary: str, description: Description, *, centre: bool) -> Profile:
    """Return what decides the clips: how coordinates are read, and a digest of the classes and numbers, too."""
    told = description.model_dump(mode="json", include=set(DECIDES), exclude_defaults=True)
    told["action_key"] = description.files.action_key
    how = description.coordinates
    parameters = {
        "centre": centre,
        "unit": how.unit,
        "axes": " ".join(how.axes),
        "channels": " ".join(how.channels),
        "missing": how.missing,
        "description": provenance.digest_json(told)[:12],
    }
    return Profile(name, summary, parameters, "zero")


def _quoted(text: str) -> str:
    """Return a string as TOML writes it: like JSON, except for characters beyond 16 bits and DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
