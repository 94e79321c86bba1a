"""NTU RGB+D 60 and NTU RGB+D 120: raw `.skeleton` files in, cleaned clips out.

Names, missing lists and counts: github shahroudy/NTURGB-D. Profiles: `cleaning/mamp.py` (mamp), `cleaning/raw.py`,
`cleaning/pyskl.py`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import (
    AbsentBody,
    Citation,
    Clip,
    DatasetSpec,
    Found,
    NameFacts,
    Profile,
    RawItem,
    SetAside,
    Source,
)
from stars_bench.datasets.cleaning.agcn import AGCN_PARAMETERS
from stars_bench.datasets.cleaning.by_profile import clean_by
from stars_bench.datasets.cleaning.mamp import MAMP_PARAMETERS, NothingLeft
from stars_bench.datasets.cleaning.pyskl import PYSKL_PARAMETERS
from stars_bench.datasets.cleaning.raw import RAW_PARAMETERS
from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.parsing.fingerprint import source_digest
from stars_bench.datasets.parsing.ntu import parse, parse_name
from stars_bench.datasets.parsing.ntu_frames import frames_of
from stars_bench.datasets.parsing.numbers import ParseError, UnknownNumber, check_range
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import OnDuplicate, Progress
from stars_bench.datasets.skeletons.kinect import KINECT_V2

LISTS = Path(__file__).parent / "lists"
SKELETON_FILE = re.compile(r"(?P<name>.*)\.skeleton(\.txt)?", re.IGNORECASE)
NTU60_SETUPS, NTU120_SETUPS = 17, 32
NTU60_CLASSES, NTU120_CLASSES = 60, 120

CITATION_60 = Citation(
    "shahroudy2016ntu",
    "NTU RGB+D: A Large Scale Dataset for 3D Human Activity Analysis",
    authors="Shahroudy, Amir and Liu, Jun and Ng, Tian-Tsong and Wang, Gang",
    venue="CVPR",
    year=2016,
    arxiv="1604.02808",
)
CITATION_120 = Citation(
    "liu2019ntu120",
    "NTU RGB+D 120: A Large-Scale Benchmark for 3D Human Activity Understanding",
    authors="Liu, Jun and Shahroudy, Amir and Perez, Mauricio and Wang, Gang and Duan, Ling-Yu and Kot, Alex C.",
    venue="IEEE Transactions on Pattern Analysis and Machine Intelligence",
    year=2019,
    kind="article",
    doi="10.1109/TPAMI.2019.2916873",
)
LICENCE = "academic research only, on request (https://rose1.ntu.edu.sg/dataset/actionRecognition); not redistributable"
WHERE = "Request the skeleton archives at https://rose1.ntu.edu.sg/dataset/actionRecognition, then put {files} in DATA_DIR/raw or give --raw PATH"  # noqa: E501


def read_list(name: str) -> tuple[str, ...]:
    """Return the lines of a list that comes with the package."""
    return tuple((LISTS / name).read_text(encoding="utf-8").splitlines())


def class_names(name: str) -> tuple[str, ...]:
    """Return the names of the classes in a list of lines `1: name`."""
    return tuple(line.partition(": ")[2] for line in read_list(name))


@cache
def missing_names() -> frozenset[str]:
    """Return the 535 clips of NTU RGB+D 120 with missing or incomplete skeletons; 302 of them are in NTU RGB+D 60."""
    return frozenset(read_list("ntu_missing.txt"))


def expected_names(dataset: str) -> list[str]:
    """Return all clips of complete data, missing list taken out, in order: 56,578 of ntu60, 113,945 of ntu120."""
    return [name for name in published_names(dataset) if name not in missing_names()]


@cache
def published_names(dataset: str) -> tuple[str, ...]:
    """Return all clips that were recorded, in order: 56,880 of ntu60, 114,480 of ntu120."""
    names = []
    for line in read_list("ntu_setup_performers.txt"):
        setup, performers = line.split(":")
        if int(setup) > NTU60_SETUPS and dataset == "ntu60":
            continue
        actions = range(1, 61) if int(setup) <= NTU60_SETUPS else range(61, 121)
        views = [f"S{int(setup):03}C{camera:03}P{int(who):03}" for camera in (1, 2, 3) for who in performers.split()]
        takes = [f"R{replication:03}A{action:03}" for replication in (1, 2) for action in actions]
        names += [view + take for view in views for take in takes]
    return tuple(sorted(names))


@sources.collector_paused()
def find(
    paths: Iterable[Path],
    on_duplicate: OnDuplicate = "refuse",
    scratch: Path | None = None,
    progress: Progress | None = None,
    *,
    last_setup: int,
    classes: int,
    leave_out_missing: bool,
) -> Found:
    """Return the `.skeleton` files below the paths, by name.

    Args:
        paths: Folders and archives.
        on_duplicate: "refuse" a name with two contents, or take the "first". Default: "refuse".
        scratch: Folder for what must be unpacked (.7z, .tar). Default: None.
        progress: Called while archives are unpacked or files are compared. Default: None.
        last_setup: Number of the dataset's last setup.
        classes: Number of the dataset's classes.
        leave_out_missing: Whether the clips of the missing list are set aside.

    Returns:
        The items, and what is set aside or ignored.

    Raises:
        StarsBenchError: A name has two contents, or an archive cannot be read.
    """
    set_aside: list[SetAside] = []
    ignored: Counter[str] = Counter()
    walked = sources.walk(paths, SKELETON_FILE, scratch, progress)
    clips = _named(walked, last_setup, classes, set_aside, ignored)
    named = sources.unique(clips, on_duplicate, ignored, progress)
    if leave_out_missing:
        for name in sorted(missing_names() & named.keys()):
            reason = "on the published list of missing or incomplete skeletons"
            set_aside.append(SetAside(name, str(named.pop(name)), reason, "missing-list"))
    items = [RawItem(name, {"skeleton": named[name]}) for name in sorted(named)]
    return Found(items, set_aside, ignored=dict(ignored))


def _named(
    found: Iterable[tuple[str, Source]],
    last_setup: int,
    classes: int,
    set_aside: list[SetAside],
    ignored: Counter[str],
) -> Iterator[tuple[str, Source]]:
    """Yield clips' names, in capitals regardless of the files' case, and their sources."""
    for file, source in found:
        match = SKELETON_FILE.fullmatch(file)
        if match is None:
            ignored[sources.why_passed_over(file, "files that are no .skeleton files")] += 1
            continue
        name = match["name"].upper()
        try:
            setup, *_, action = parse_name(name)
            if setup > last_setup:
                ignored[f"clips of setups above {last_setup}, which are not of this dataset"] += 1
                continue
            check_range("action", action, 1, classes)
        except UnknownNumber as error:
            set_aside.append(SetAside(name, str(source), str(error), "unknown"))
            continue
        except ValueError as error:
            set_aside.append(SetAside(match["name"], str(source), str(error)))
            continue
        yield name, source


def read_name(name: str) -> NameFacts:
    """Read what a clip's name says: `S001C002P003R002A013`.

    Raises:
        ValueError: No NTU name.
        UnknownNumber: One with a number that NTU RGB+D 120 does not have.
    """
    setup, camera, performer, replication, action = parse_name(name)
    return NameFacts(name, performer, camera, setup, replication, action - 1)


def convert(item: RawItem, data: Mapping[str, bytes], profile: Profile) -> list[Clip | SetAside]:
    """Clean one file; return one clip, or the reason why there is none."""
    source = item.sources["skeleton"]
    setup, camera, performer, replication, action = parse_name(item.name)
    try:
        bodies, log = cleaned(data["skeleton"], profile)
    except ParseError as error:
        return [SetAside(item.name, f"{source}:{error.line}", error.reason)]
    except NothingLeft as error:
        return [SetAside(item.name, str(source), str(error))]
    digest = source_digest(data["skeleton"])
    return [Clip(item.name, action - 1, performer, camera, setup, replication, bodies, digest, log)]


def cleaned(data: bytes, profile: Profile) -> tuple[NDArray[np.float32], Counter[str]]:
    """Read and clean one file.

    Returns:
        Bodies (M, F, 25, 3) float32, metres, and the log of what was dropped.

    Raises:
        ParseError: The file does not have the format.
        NothingLeft: No actor is left.
        UsageError: There is no cleaning of the name in the profile's parameter `cleaning`.
    """
    return clean_by(profile, parse(data), partial(frames_of, data))


def profiles(absent_body: AbsentBody) -> dict[str, Profile]:
    """Return the ways of cleaning NTU files, by name."""
    mamp = "as MAMP, STARS and CTR-GCN trained on: noise filters, two actors, centred on the spine"
    raw = "nothing cleaned or centred: frames and bodies as each frame lists them (ST-GCN's and CrosSCLR's data)"
    agcn = "2s-AGCN's and CMD's: two of four bodies, gaps at the end filled, spine in every frame, turned to z, then x"
    agcn_x = "UmURL's and USDRL's: as agcn, turned to x alone"
    pyskl = "pyskl's and MMAction2's length and spread filters, two actors, not centred"
    return {
        "mamp": Profile("mamp", mamp, {"cleaning": "mamp", **MAMP_PARAMETERS}, absent_body),
        "raw": Profile("raw", raw, RAW_PARAMETERS, "zero"),
        "pyskl": Profile("pyskl", pyskl, PYSKL_PARAMETERS, "zero"),
        "agcn": Profile("agcn", agcn, AGCN_PARAMETERS, "zero"),
        "agcn-x": Profile("agcn-x", agcn_x, {**AGCN_PARAMETERS, "align": "x"}, "zero"),
    }


def _spec(
    name: str,
    title: str,
    classes: int,
    last_setup: int,
    absent_body: AbsentBody,
    expected_clips: int,
    files: str,
    citation: Citation,
) -> DatasetSpec:
    return DatasetSpec(
        name=name,
        title=title,
        classes=class_names("ntu_actions.txt")[:classes],
        skeleton=KINECT_V2,
        profiles=profiles(absent_body),
        default_profile="mamp",
        find=partial(find, last_setup=last_setup, classes=classes, leave_out_missing=True),
        convert=convert,
        expected_clips=expected_clips,
        where=WHERE.format(files=files),
        licence=LICENCE,
        citation=citation,
        expected_names=partial(expected_names, name),
        read_name=read_name,
        warm_up=compiled_code.load_ntu,
    )


NTU60 = _spec(
    "ntu60",
    "NTU RGB+D",
    NTU60_CLASSES,
    NTU60_SETUPS,
    "zero",
    56_578,
    "nturgbd_skeletons_s001_to_s017.zip",
    CITATION_60,
)
NTU120 = _spec(
    "ntu120",
    "NTU RGB+D 120",
    NTU120_CLASSES,
    NTU120_SETUPS,
    "duplicate",  # as the official NTU-120 scripts pad, and with them all published numbers
    113_945,
    "nturgbd_skeletons_s001_to_s017.zip and nturgbd_skeletons_s018_to_s032.zip",
    CITATION_120,
)
