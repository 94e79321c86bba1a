"""What a file looks like that is no recording: a name and its first bytes in, its kind and what to do with it out."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

HEAD = 512
"""Bytes at the start of a file that are looked at."""
NO_SKELETONS = "skeletons are a download of their own"


class Kind(NamedTuple):
    """A kind of files.

    Args:
        name: What they are; {s} stands where a plural has its s.
        remedy: What to do, with {path}, {folder} and {stem} of the first of them. Default: nothing.
    """

    name: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.name.format(s='')}: {self.remedy}"

    def on(self, path: Path) -> str:
        """Return what to do with a file of this kind, ready to be typed."""
        words = {"path": path, "folder": path.parent, "stem": path.with_suffix("")}
        return self.remedy.format_map({word: shlex.quote(str(value)) for word, value in words.items()})


CONTENTS = {
    rb"version https://git-lfs": Kind(
        "Git LFS pointer{s}", "`git lfs pull` in that repository fetches the files themselves"
    ),
    rb"(?is)\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)\b": Kind(
        "web page{s} in place of a file (a login page?)", "sign in with a browser and download again"
    ),
}
"""Kinds by a pattern of the first bytes, regardless of the name."""
NESTED = Kind("archive{s} inside of an archive", "unpack the outer one and give the folder")
NAMES = {
    r".*\.(crdownload|part|partial|download|opdownload|aria2|filepart)": Kind(
        "unfinished download{s}", "wait for its end, or download again"
    ),
    r".*\.7z\.\d{3}": Kind("part{s} of a split archive", "`7z x {path}` joins and unpacks them, from the first part"),
    r".*\.(zip|tar|tgz|gz)\.(\d{3}|part\w*|(?!gz|xz)[a-z]{2})": Kind(
        "part{s} of a split archive", "`cat {stem}.* > {stem}` joins them"
    ),
    r".*\.z\d\d": Kind("part{s} of a split zip archive", "`zip -s 0 {stem}.zip --out whole.zip` joins them"),
    r".*\.rar": Kind("RAR archive{s}", "`unrar x {path}` unpacks them; give the folder"),
    r".*\.(zip|7z|tar|tar\.(gz|bz2|xz)|tgz|tbz2|txz)": Kind("archive{s} with no file of such a name"),
    r".*\.gz": Kind("file{s} packed one by one (.gz)", "`gunzip -r {folder}` unpacks them"),
    r".*\.bz2": Kind("file{s} packed one by one (.bz2)", "`bunzip2 {folder}/*.bz2` unpacks them"),
    r".*\.xz": Kind("file{s} packed one by one (.xz)", "`unxz {folder}/*.xz` unpacks them"),
    r".*\.zst": Kind("file{s} packed one by one (.zst)", "`unzstd {folder}/*.zst` unpacks them"),
    r".*missing_skeletons?\.txt": Kind(
        "list{s} of samples without skeletons", "it is built in; what is needed are the skeletons"
    ),
    r".*\.skeleton\.npy": Kind(
        "array{s} of txt2npy (github shahroudy/NTURGB-D)", "give the .skeleton files that they were made of"
    ),
    r"S\d{3}C\d{3}P\d{3}R\d{3}A\d{3}\.skeleton(\.txt)?": Kind(
        "skeleton file{s} of NTU RGB+D", "`stars-bench prepare ntu60` or `ntu120` takes them"
    ),
    r"\d{4}-[LMR]\.txt": Kind("file{s} of PKU-MMD I", "`stars-bench prepare pku1` takes videos with their labels"),
    r"A\d\dN\d\d-[LMR]\.txt": Kind(
        "file{s} of PKU-MMD II", "`stars-bench prepare pku2` takes videos with their labels"
    ),
    r".*\.skeleton(\.txt)?": Kind("skeleton file{s} with names of another dataset", "docs/adding.md describes one"),
    r".*_ir\.(avi|mp4)": Kind("infrared video{s}", NO_SKELETONS),
    r".*\.(avi|mp4|mkv|mov|webm|wmv)": Kind("RGB video{s}", NO_SKELETONS),
    r"(m?depth.*|.*_depth.*)\.(png|bin|tiff?)": Kind("depth map{s}", NO_SKELETONS),
    r".*\.(png|jpe?g|bmp|tiff?)": Kind("picture{s}", NO_SKELETONS),
    r".*\.(npy|npz|pkl|pickle)": Kind("array{s} or pickle{s}", "`stars-bench import` takes those of other programs"),
}
"""Kinds by a pattern of the file's name, in any case."""


def content_of(head: bytes) -> Kind | None:
    """Return what a file is that holds something else than its name says; None where that is not known.

    Args:
        head: Its first bytes.
    """
    return next((kind for pattern, kind in CONTENTS.items() if re.match(pattern, head)), None)


def kind_of(name: str, head: bytes = b"") -> Kind:
    """Return the kind of a file that was not looked for.

    Args:
        name: Its name, without folders.
        head: Its first bytes. Default: not known.
    """
    by_name = next((kind for pattern, kind in NAMES.items() if re.fullmatch(pattern, name, re.IGNORECASE)), None)
    suffix = re.search(r"\.\w{1,12}$", name)
    return content_of(head) or by_name or Kind(f"file{{s}} {suffix[0]}" if suffix else "file{s} without a suffix")
