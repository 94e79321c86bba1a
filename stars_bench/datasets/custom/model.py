"""The model of a dataset's TOML file: its keys, their meaning, and what must fit together.

Sections: the head (name, classes, who to cite), `[files]`, `[coordinates]`, `[skeleton]`, `[numbers.*]`, `[splits.*]`.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from stars_bench.api import PLANE, SPACE, Citation, Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.datasets.skeletons.layouts import LAYOUTS, of_names

FACTS = ("action", "subject", "camera", "setup", "replication")
"""What is known of a clip, from its path or from a table. All but the action are 0 where nothing says them."""

SPLIT_BY = {"xsub": "subject", "xview": "camera", "xset": "setup"}
"""The protocols that a description may give a split for, and the number that they go by."""

JOINT, AXIS = "{joint}", "{axis}"
"""What `columns` holds of a joint's name and an axis."""

NUMBERED = ("subject", "camera", "setup", "replication")
CLIP, FRAME = "clip", "frame"
"""Groups of a pattern that say which files are one clip, and in which order."""
Column = Literal["file", "action", "subject", "camera", "setup", "replication", "start", "end", "clip"]
"""What a table says of a clip."""
Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]
"""A text, or several."""

Number = Annotated[int, Field(ge=0, lt=10**9)]
"""What a fact of a clip may be: as many digits as a path may have of it."""


ProtocolName = Literal[
    "xsub", "xview", "xset", "official", "xsub-v1", "xsub-v2", "as1", "as2", "as3",
    "split1", "split2", "split3", "split4", "split5",
]  # fmt: skip
"""The protocols that a description may give a split for."""


class Strict(BaseModel):
    """A model that accepts known keys only and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Files(Strict):
    """Which files are clips, and where their metadata stand.

    Args:
        pattern: Regular expression over the end of a path; named groups give action, subject and so on, `clip` the
            clip's name, and `frame` the frame of a file that is one. Default: None, the table names the files.
        table: CSV or JSON files with a row a clip: `file` (a clip's name) and facts; `start` and `end`, its first and
            last frame (from 1), where a file holds several clips; `clip`, its name. Default: none.
        columns: Names of these columns in the table, as in `action = "label"`. Default: they are called so.
        first_action: Number of the first class. Default: 1.
        action_key: json, npz, mat: where a file itself says its action, such as `label`. Default: None.
    """

    pattern: str | None = Field(
        None, description="regular expression over the end of a path; named groups say action, subject ..., clip, frame"
    )
    table: Texts = Field((), description="CSV or JSON with a row a clip: `file` and facts; `start`, `end`; `clip`")
    columns: dict[Column, str] = Field(
        default_factory=dict, description="what these are called in the table, as action = 'label'"
    )
    first_action: int = Field(1, ge=0, lt=10**9, description="number of the first class")
    action_key: str | None = Field(None, description="json, npz, mat: where a file itself says its action")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)  # may mean something else to a later Python
                groups = re.compile(pattern).groupindex
        except (re.error, FutureWarning) as error:
            raise ValueError(f"is not a regular expression ({error})") from error
        if unknown := [name for name in groups if name not in (*FACTS, CLIP, FRAME)]:
            raise ValueError(f"the group {unknown[0]!r} is none of {', '.join((*FACTS, CLIP, FRAME))}")
        return pattern

    @model_validator(mode="after")
    def _says_the_action(self) -> Self:
        if self.pattern is None and not self.table:
            raise ValueError("needs a pattern of paths, or a table that names the files")
        if self.columns and not self.table:
            raise ValueError("columns are those of a table")
        if not self.table and self.action_key is None and "action" not in self.groups:
            raise ValueError("the pattern needs a group (?P<action>...), or there must be a table that says it")
        return self

    @property
    def groups(self) -> set[str]:
        """Names of the groups of the pattern."""
        return set() if self.pattern is None else set(re.compile(self.pattern).groupindex)


class Coordinates(Strict):
    """How coordinates are stored.

    Args:
        format: csv (any text with a delimiter), json, npz (and npy), mat, or ntu (the text form of NTU RGB+D).
        axes: What is stored of a joint, in this order; `-y` has the other sign. Without z, joints lie in a picture, and
            `score` is how sure each is; other names are ignored. Default: x, y, z.
        joints: The joints in the order of the file, those that are not of the layout too. Default: the layout's.
        unit: Metres for a stored 1. Default: 1.
        origin: What is subtracted of x and y (and z) before that, in the file's numbers. Default: nothing.
        missing: What to do about missing joints: "fill", "zero" or "set-aside". Default: fill.
        missing_value: Value that marks a missing joint if all axes have it, as NaN does. Default: None.
        min_score: A joint with this score, or less, is missing. Default: None.
        people: Which two of more bodies stay: the "longest" seen, or by "score" in every frame. Default: longest.
        first_people: How many bodies of a file count, from the first. Default: None, all.
        columns: csv: names of the columns, such as `{joint}_{axis}`. Default: None, no header and all in order.
        delimiter: csv: character between cells; a blank stands for any number of blanks and tabs. Default: a comma.
        skip_lines: csv: lines before the header or the numbers. Default: 0.
        skip_columns: csv without a header: columns before the numbers, such as a time. Default: 0.
        frame: csv: column that numbers frames. Default: None.
        body: csv: column that identifies people; needs `frame`. Default: None.
        joint: csv: column that names the joint, of a row a joint; needs `frame`. Default: None.
        key: npz, mat: name of the array; json: where the numbers are, such as `frames[].joints`. Default: None.
        score_key: json, npz, mat: where scores are, if apart; they become the last axis. Default: None.
        order: Axes of the array: frames T, joints V, coordinates C, bodies M; without T a file is a frame. Default:
            TVC.
    """

    format: Literal["csv", "npz", "json", "mat", "ntu"]
    axes: tuple[str, ...] = Field(
        ("x", "y", "z"), description="what is stored of a joint, in this order; '-y': with the other sign; or ignored"
    )
    joints: tuple[str, ...] = Field((), description="in the file's order, others too; default: the layout's")
    unit: float = Field(1.0, gt=0, allow_inf_nan=False, description="how many metres a stored 1 is")
    origin: tuple[float, ...] = Field((), description="what is subtracted of x, y (z) first, in stored numbers")
    missing: Literal["fill", "zero", "set-aside"] = Field("fill", description="what to do about missing joints")
    missing_value: float | None = Field(None, description="a joint with this in all axes is missing, as NaN is")
    min_score: float | None = Field(None, description="a joint with this score, or less, is missing")
    people: Literal["longest", "score"] = Field("longest", description="who stays of more than two")
    first_people: int | None = Field(None, ge=1, description="how many bodies of a file count, from the first")
    columns: str | None = Field(None, description="csv: names as '{joint}_{axis}'; without: no header, all in order")
    delimiter: str = Field(",", min_length=1, max_length=1, description="csv; ' ': any number of blanks and tabs")
    skip_lines: int = Field(0, ge=0, description="csv: lines before the header or the numbers")
    skip_columns: int = Field(0, ge=0, description="csv without a header: columns before the numbers")
    frame: str | None = Field(None, description="csv: the column that numbers frames")
    body: str | None = Field(None, description="csv: the column that tells people apart; then `frame`, too")
    joint: str | None = Field(None, description="csv: the column that names the joint; then `frame`, too")
    key: str | None = Field(None, description="npz, mat: the array; json: where numbers are, as 'frames[].joints'")
    score_key: str | None = Field(None, description="json, npz, mat: where scores are, if apart")
    order: str = Field("TVC", description="the array's axes: frames T, joints V, coordinates C, bodies M")

    @field_validator("axes")
    @classmethod
    def _has_axes(cls, axes: tuple[str, ...]) -> tuple[str, ...]:
        known = [axis.removeprefix("-") for axis in axes if axis.removeprefix("-") in "xyz"]
        if len(set(axes)) < len(axes) or len(set(known)) < len(known) or not {"x", "y"} <= set(known):
            raise ValueError("need x and y, each axis once")
        return axes

    @field_validator("order")
    @classmethod
    def _is_order(cls, order: str) -> str:
        if not {"V", "C"} <= set(order) <= set("MTVC") or len(set(order)) < len(order):
            raise ValueError("must be the letters V and C, T, and M where bodies are an axis, in the array's order")
        return order

    def column(self, joint: str, axis: str) -> str:
        """Return the name of the column of a joint and an axis."""
        return (self.columns or "").replace(JOINT, joint).replace(AXIS, axis)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        lists = (self.key or "").count("[]")
        text = ("delimiter", "skip_lines", "skip_columns", "columns", "frame", "body", "joint")
        if self.format != "csv" and (wrong := [name for name in text if name in self.model_fields_set]):
            raise ValueError(f"{wrong[0]} is for csv")
        if self.format in ("csv", "ntu") and (self.key is not None or self.score_key is not None):
            raise ValueError("key and score_key are for json, npz and mat")
        if self.format == "ntu" and "order" in self.model_fields_set:
            raise ValueError("order is not for ntu, whose files say it")
        wanted = [AXIS] if self.joint else [JOINT, AXIS]
        if self.columns is not None and not all(part in self.columns for part in wanted):
            raise ValueError(f"columns must hold {' and '.join(wanted)}, as in '{'_'.join(wanted)}'")
        if self.columns is None and (named := [name for name in ("frame", "body", "joint") if getattr(self, name)]):
            raise ValueError(f"{named[0]} needs columns: the file's header")
        if self.frame is None and (named := [name for name in ("body", "joint") if getattr(self, name)]):
            raise ValueError(f"{named[0]} needs frame: which rows are of one moment")
        if self.columns is not None and (self.skip_columns or self.order != "TVC"):
            raise ValueError("with columns, skip_columns and order say nothing: each column has its name")
        if self.format == "json" and lists and not (self.order.endswith("VC") and lists == len(self.order) - 2):
            raise ValueError("key: each [] of a json key is one letter of order in front of VC, as 'frames[].joints'")
        if lists and self.format != "json" and not (self.key or "").endswith("[]"):
            raise ValueError("key: [] at the end of a name stands for the numbers of bodies, as in 'skel_body[]'")
        if self.origin and len(self.origin) != sum(axis in "xyz" for axis in self.stored_axes):
            raise ValueError("origin: one number for each of x, y (and z), in the order of axes")
        if self.score_key is not None and "score" in self.axes:
            raise ValueError("score_key: scores are apart, or among the axes")
        if (self.min_score is not None or self.people == "score") and "score" not in self.stored_axes:
            raise ValueError("min_score and people = 'score' need scores: an axis or score_key")
        if len(set(self.joints)) < len(self.joints):
            raise ValueError("joints: two have one name")
        return self

    @property
    def stored_axes(self) -> tuple[str, ...]:
        """Names of the stored axes without signs; scores that are apart come last."""
        axes = tuple(axis.removeprefix("-") for axis in self.axes)
        return axes if self.score_key is None else (*axes, "score")

    @property
    def channels(self) -> tuple[str, str, str]:
        """What the three numbers of a prepared joint are."""
        return SPACE if "z" in self.stored_axes else PLANE


class JointLayout(Strict):
    """The joints: a known layout, or your own.

    Args:
        layout: Name of a known layout. Default: None, `joints` and `parents` define the layout.
        joints: Names of the joints, in the order of the coordinates. Default: none.
        parents: Parent of each joint, by name; the root is its own parent. Default: none.
        centre: Joint that the profile `centered` moves to the origin. Default: None.
        ntu: For each of the 25 joints of NTU, the joint of this layout, or several whose mean it is. Default: none.
    """

    layout: str | None = Field(None, description=", ".join(LAYOUTS))
    joints: tuple[str, ...] = ()
    parents: tuple[str, ...] = Field((), description="of each joint, by name; the root is its own")
    centre: str | None = Field(None, description="joint that the profile `centered` puts at the origin")
    ntu: dict[str, str | tuple[str, ...]] = Field(
        default_factory=dict, description="for each of the 25 joints of NTU, the own one, or several whose mean it is"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.layout is None) == (not self.joints):
            raise ValueError(f"needs a layout ({', '.join(LAYOUTS)}) or joints, parents and centre of its own")
        if self.layout is not None:
            if self.layout not in LAYOUTS:
                raise ValueError(f"there is no layout {self.layout!r}: {', '.join(LAYOUTS)}, or joints of your own")
            if self.parents or self.centre is not None:
                raise ValueError("parents and centre are for joints of your own: the layout has them")
        else:
            self._check_own()
        self._check_ntu(self.own("").joints)
        return self

    def _check_own(self) -> None:
        joints = set(self.joints)
        if len(joints) < len(self.joints):
            raise ValueError("two joints have one name")
        if len(self.parents) != len(self.joints):
            raise ValueError(f"{len(self.parents)} parents for {len(self.joints)} joints")
        for name in (*self.parents, self.centre):
            if name not in joints:
                raise ValueError(f"{name!r} is not among the joints" if name else "centre is missing")
        parent = dict(zip(self.joints, self.parents, strict=True))
        roots = [joint for joint in self.joints if parent[joint] == joint]
        if len(roots) != 1:
            raise ValueError(f"{len(roots)} joints are their own parents; one must be, the root")
        for joint in self.joints:
            at = joint
            for _ in self.joints:
                at = parent[at]
            if at != roots[0]:
                raise ValueError(f"{joint!r} is in a circle of parents")

    def _check_ntu(self, joints: tuple[str, ...]) -> None:
        if not self.ntu:
            return
        for name, sources in self.ntu.items():
            if name not in KINECT_V2.joints:
                raise ValueError(f"ntu: {name!r} is none of {', '.join(KINECT_V2.joints)}")
            for source in (sources,) if isinstance(sources, str) else sources:
                if source not in joints:
                    raise ValueError(f"ntu: {name!r}: {source!r} is not among the joints")
        if absent := [name for name in KINECT_V2.joints if not self.ntu.get(name)]:
            raise ValueError(f"ntu: {absent[0]!r} is missing; all 25 joints need one of yours")

    def own(self, name: str) -> Skeleton:
        """Return the layout of the files."""
        if self.layout is not None:
            return LAYOUTS[self.layout]
        return of_names(name, self.joints, self.parents, self.centre or "")


class SplitRule(Strict):
    """A train/test split, by a number of the clips or by lists of their names.

    Args:
        by: Number that decides. Default: subject for xsub, camera for xview, setup for xset.
        train: Values of that number that train. Default: none.
        test: Values that test. Default: all others.
        actions: Numbers or names of the classes that the split has. Default: all.
        train_file: File with names of the training clips, one a line. Default: None.
        test_file: File with names of the test clips. Default: None, all others.
    """

    by: Literal["subject", "camera", "setup", "replication"] | None = Field(
        None, description="default: subject for xsub, camera for xview, setup for xset"
    )
    train: tuple[int | str, ...] = ()
    test: tuple[int | str, ...] = Field((), description="without: all others")
    actions: tuple[int | str, ...] = Field((), description="the classes that the split has; without: all")
    train_file: str | None = Field(None, description="clips' names, one a line")
    test_file: str | None = Field(None, description="without: all others")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        lists, numbers = self.train_file is not None, bool(self.train)
        if lists == numbers:
            raise ValueError("needs train = [...] or train_file = '...'")
        if (lists and (self.test or self.by or self.actions)) or (numbers and self.test_file is not None):
            raise ValueError("is by numbers (by, train, test, actions) or by files (train_file, test_file), not both")
        if both := set(self.train) & set(self.test):
            raise ValueError(f"{min(both, key=str)!r} trains and tests")
        return self


def _line_or_table(value: object) -> str:
    return "line" if isinstance(value, str) else "table"


class Description(Strict):
    """A dataset's whole TOML file.

    Args:
        name: Name on the command line.
        title: Name in print.
        classes: Names of the classes.
        licence: Terms of use, in one line.
        citation: The publication to cite: a line, or a table with the fields of `api.Citation`.
        where: How to get the raw files, in one line.
        frame_rate: Frames a second. Default: 30.
        clips: Number of clips of the complete dataset. Default: None, unknown.
        folder: Folder of the files that are named here. Default: None, beside the description.
        files: Which files are clips.
        coordinates: How coordinates are stored.
        skeleton: The joints.
        numbers: Numbers for texts, as in `[numbers.camera] left = 1`. Default: none.
        ranges: First and last subject, camera, setup or replication that the dataset has. Default: any.
        splits: Train/test splits by protocol. Default: none.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    classes: tuple[str, ...] = Field(min_length=1)
    licence: str
    citation: Annotated[
        Annotated[str, Tag("line")] | Annotated[Citation, Tag("table")], Discriminator(_line_or_table)
    ] = Field(description="whom to cite: a line, or a table with the fields of api.Citation")
    where: str = Field("Ask those who have the files.", description="how to get the raw files: one line")
    frame_rate: float = Field(30.0, gt=0, allow_inf_nan=False, description="frames a second")
    clips: int | None = Field(None, gt=0, description="number of clips of the complete dataset")
    folder: str | None = Field(None, description="where the files named here lie; default: beside the description")
    files: Files
    coordinates: Coordinates
    skeleton: JointLayout
    numbers: dict[Literal["action", "subject", "camera", "setup", "replication"], dict[str, Number]] = Field(
        default_factory=dict, description="numbers for texts, as [numbers.camera] left = 1"
    )
    ranges: dict[Literal["subject", "camera", "setup", "replication"], tuple[Number, Number]] = Field(
        default_factory=dict, description="first and last number that the dataset has, as subject = [1, 10]"
    )
    splits: dict[ProtocolName, SplitRule] = Field(default_factory=dict)

    @field_validator("title", "licence", "citation", "where")
    @classmethod
    def _is_a_line(cls, text: str | Citation) -> str | Citation:
        if isinstance(text, str) and not (text.strip() and text.isprintable()):
            raise ValueError("must be one line")
        return text

    @field_validator("classes")
    @classmethod
    def _differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(classes)) < len(classes):
            raise ValueError("two classes have one name")
        if any(not name.strip() or not name.isprintable() for name in classes):
            raise ValueError("must have names, each on one line")
        return classes

    @property
    def cited(self) -> Citation:
        """The publication to cite; a single line becomes the title of an entry with the dataset's name as its key."""
        line = self.citation
        return line if isinstance(line, Citation) else Citation(self.name, line, kind="misc")

    @property
    def skeleton_of_clips(self) -> Skeleton:
        """The layout of the prepared data: NTU's, if the description maps to it."""
        layout = KINECT_V2 if self.skeleton.ntu else self.skeleton.own(self.name)
        return replace(layout, channels=self.coordinates.channels)

    @property
    def frame_files(self) -> bool:
        """Whether a file is a frame, and a clip many files."""
        return FRAME in self.files.groups or "T" not in self.coordinates.order

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        joints = self.skeleton.own("").joints
        if self.coordinates.joints and (absent := [name for name in joints if name not in self.coordinates.joints]):
            raise ValueError(f"coordinates.joints: {absent[0]!r} of the layout is missing")
        classes = len(self.classes)
        if wrong := [key for key, number in self.numbers.get("action", {}).items() if not 1 <= number <= classes]:
            raise ValueError(f"numbers.action: {wrong[0]} has none of the {classes} classes, which count from 1")
        if self.frame_files and self.files.pattern is None:
            raise ValueError("files: a clip of many files needs a pattern that says which")
        keyed = self.coordinates.format in ("json", "npz", "mat")
        if self.files.action_key is not None and (not keyed or self.frame_files):
            raise ValueError("files.action_key is for json, npz and mat files that are whole clips")
        if self.files.action_key is not None and any(rule.actions for rule in self.splits.values()):
            raise ValueError("splits: actions are not known before files are read (files.action_key)")
        return self
