"""The command that draws: view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stars_bench.cli.options import DataDir, console
from stars_bench.errors import UsageError

if TYPE_CHECKING:
    from stars_bench.viewer.scene import Scene


def view(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A prepared dataset, a shard (.h5), a raw file (also ARCHIVE.zip:MEMBER), or an export (npz, pickle, "
            "CrosSCLR folder).",
        ),
    ],
    clip: Annotated[
        str | None,
        typer.Argument(metavar="CLIP", help="Clip of a dataset or an export: its name, or its number from 0."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File to write; its suffix sets the format. Default: the clip's name."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="html|gif|png",
            help="html: a page that plays the clip. gif: an animation. png: a film strip.",
        ),
    ] = None,
    random: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Draw a contact sheet of N random clips.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--class", metavar="CLASS", help="Only clips of this class: its number from 1, or a part of its name."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of --random. The same seed draws the same clips.")] = 0,
    frames: Annotated[str | None, typer.Option(metavar="A:B", help="Only frames A to B - 1, counted from 0.")] = None,
    raw: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Raw files of a prepared NTU dataset, to draw both. Repeatable."),
    ] = None,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Mirror the picture, like the Kinect's colour video.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that this command did not write.")] = False,
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Cleaning profile: of a prepared dataset, or to clean a raw file."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Dataset of an exported file.")] = None,
    protocol: Annotated[
        str | None, typer.Option(metavar="NAME", help="Protocol of an exported file, if the file does not state it.")
    ] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """Draw clips: as a page that plays them, an animation, a film strip or a contact sheet.

    A raw file is drawn twice: as recorded, and after cleaning.

    `stars-bench view ntu60 S001C001P001R001A001 --out clip.gif`

    `stars-bench view ntu60 --random 12 --class 23 --out sheet.png`
    """
    from stars_bench.io.outputs import output_file
    from stars_bench.viewer import clips, output

    wanted = clips.Wanted(clip, random, action, seed, profile, tuple(raw or ()), dataset, protocol)
    found = clips.scenes(what, wanted, data_dir)
    if frames is not None:
        found = [scene.cut(_slice(frames)) for scene in found]
    told = f"{len(found)} clips of {Path(what).name}" + (f", class {action}" if action else "") + f", seed {seed}"
    title = found[0].name if random is None else told
    path, chosen = output.target(out, form, title, "html" if random is None else "png")
    _write(found, output_file(path, "view", overwrite=force), chosen, title, not mirrored, is_sheet=random is not None)
    console.print(f"written: {path}", soft_wrap=True)


def _slice(text: str) -> slice:
    first, _, behind = text.partition(":")
    if not (first.isdecimal() and behind.isdecimal()) or int(first) >= int(behind):
        raise UsageError(f"--frames {text}: two numbers A:B, A below B, as in 0:60")
    return slice(int(first), int(behind))


def _write(scenes: list[Scene], path: Path, form: str, title: str, eye: bool, is_sheet: bool) -> None:
    from stars_bench.io.files import write_text
    from stars_bench.viewer import html, pictures

    if form == "html":
        write_text(path, html.to_html(scenes, title, eye))
    elif form == "gif":
        pictures.animation(scenes, path, eye)
    elif is_sheet:
        pictures.sheet(scenes, path, title, eye)
    else:
        pictures.strip(scenes[0], path, eye)
