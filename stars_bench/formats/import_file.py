"""Import: a file or folder of another program in, a prepared dataset out, for users without the raw files."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from stars_bench import registry
from stars_bench.api import DatasetSpec, Profile, ProtocolSpec
from stars_bench.errors import UsageError, not_written
from stars_bench.formats.base import Format, Incoming
from stars_bench.formats.catalog import format_of, recognise
from stars_bench.formats.clip_order import has_two_parts
from stars_bench.formats.match_clips import Intake, Progress
from stars_bench.io import files
from stars_bench.io.partial import remove_abandoned
from stars_bench.preparation import plausibility
from stars_bench.storage import shards
from stars_bench.storage.quality import QualityReport
from stars_bench.storage.shards import ShardFacts


@dataclass(frozen=True)
class ImportReport:
    """What `import_file` did.

    Args:
        folder: Folder of the prepared dataset.
        quality: Counts and faults of the clips.
        digest: Checksum of the prepared data.
        notes: What the user should know about the clips.
        warnings: What may be wrong with the clips.
        seconds: Time that it took.
        unchanged: Whether the same file had been imported before, so that nothing was written.
    """

    folder: Path
    quality: QualityReport
    digest: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float
    unchanged: bool  # the same file was imported before


def import_file(
    path: Path,
    dataset: str | DatasetSpec,
    data_dir: Path,
    protocol: str | None = None,
    format: str | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> ImportReport:
    """Turn a file of another program into the prepared dataset DATA_DIR/DATASET/imported-FORMAT.

    Args:
        path: The file or folder.
        dataset: The dataset that the clips are from: a name or a spec.
        data_dir: Where prepared datasets lie.
        protocol: The protocol whose parts the file holds; needed if the file does not show it. Default: None.
        format: One of `formats.FORMATS`. Default: None, recognised by the file's content.
        progress: Called with the task, the clips done, their total and a note. Default: None.
        overwrite: Whether to replace an earlier import. Default: False.

    Returns:
        What was imported.

    Raises:
        UsageError: A name is unknown, there is no such file, another file was imported before, or another process
            imports it.
        StarsBenchError: The file is damaged, holds another dataset, or cannot be accepted.
    """
    started = time.perf_counter()
    spec: DatasetSpec = registry.load("datasets", dataset) if isinstance(dataset, str) else dataset
    chosen = recognise(path) if format is None else format_of(format)
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or folder")
    incoming = chosen.read(path, spec, _protocol(protocol, spec))
    profile = _profile(chosen, incoming)
    plan = files.digest_json([spec.name, profile.name, incoming.digest, protocol, shards.CLIPS_VERSION])
    folder = data_dir / spec.name / profile.name
    warnings: tuple[str, ...] = ()
    notes = tuple(incoming.notes)
    with files.alone_in(folder):
        index = None if overwrite else shards.read_index(folder)
        if index is not None and index["plan"] != plan:
            raise UsageError(f"{folder} was imported from another file or with another protocol; --force replaces it")
        if index is None:
            try:
                intake = _convert(spec, path, profile, folder, plan, incoming, progress)
            except OSError as error:
                raise not_written(folder, error) from error
            notes, warnings = (*notes, *intake.notes), tuple(intake.warnings)
        written = shards.read_index(folder)
        shards.keep_description(spec, folder)
    assert written is not None
    return ImportReport(
        folder=folder,
        quality=QualityReport.from_json(written["quality"]),
        digest=written["digest"],
        notes=notes,
        warnings=warnings,
        seconds=time.perf_counter() - started,
        unchanged=index is not None,
    )


def _protocol(name: str | None, spec: DatasetSpec) -> ProtocolSpec | None:
    if name is None:
        return None
    protocol: ProtocolSpec = registry.load("protocols", name)
    if not spec.has_protocol(protocol) or not has_two_parts(protocol):
        raise UsageError(f"{name} is no protocol that a file for {spec.name} can state")
    return protocol


def _profile(format: Format, incoming: Incoming) -> Profile:
    # What decides the clips is the file: its digest is the parameter.
    parameters = {"imported_from": format.name, "file_digest": incoming.digest}
    return Profile(f"imported-{format.name}", incoming.summary, parameters, incoming.absent_body)


def _convert(
    spec: DatasetSpec,
    path: Path,
    profile: Profile,
    folder: Path,
    plan: str,
    incoming: Incoming,
    progress: Progress | None,
) -> Intake:
    """Write shards and index beside the folder, and move them into its place when everything is right."""
    intake = Intake(spec, path, incoming)
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder.parent)
    unfinished = files.partial_path(folder)
    unfinished.mkdir()
    try:
        facts: list[ShardFacts] = []
        measures = []
        for content in intake.contents(progress):
            names, clips = [clip.name for _, clip in content.clips], [clip.bodies for _, clip in content.clips]
            measures.append(plausibility.measure(spec.skeleton, names, clips))
            shard = unfinished / f"shard-{len(facts):05}.h5"
            facts.append(shards.write_shard(shard, spec, profile, plan, content))
        official = intake.splits()
        quality = plausibility.write(unfinished, spec.skeleton, measures, intake.quality(profile.name))
        shards.write_index(unfinished, spec, profile, plan, facts, quality, official)
        files.replace_folder(unfinished, folder, shards.OWN)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return intake
