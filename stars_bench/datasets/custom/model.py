"""The model of a dataset's TOML file: its keys, their meaning, and what must fit together.

Sections: the head (name, classes, who to cite), `[files]`, `[coordinates]`, `[skeleton]`, `[numbers.*]`, `[splits.*]`.
"""

from __future__ import annotations

import re
import warnings
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from stars_bench.api import Citation, Skeleton
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.datasets.skeletons.layouts import LAYOUTS, of_names

FACTS = ("action", "subject", "camera", "setup", "replication")
"""What is known of a clip, from its path or from a table. All but the action are 0 where nothing says them."""

SPLIT_BY = {"xsub": "subject", "xview": "camera", "xset": "setup"}
"""The protocols that a description may give a split for, and the number that they go by."""

JOINT, AXIS = "{joint}", "{axis}"
"""What `columns` holds of a joint's name and an axis."""

NUMBERED = ("subject", "camera", "setup", "replication")


Number = Annotated[int, Field(ge=0, lt=10**9)]
"""What a fact of a clip may be: as many digits as a path may have of it."""


class Strict(BaseModel):
    """A model that accepts known keys only and does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Files(Strict):
    """Which files are clips, and where their metadata stand.

    Args:
        pattern: Regular expression over the end of a path; named groups give action, subject and so on.
        table: CSV file with a column `file` (a clip's name) and one for each fact. Default: None.
    """

    pattern: str = Field(description="regular expression over the end of a path; named groups say action, subject ...")
    table: str | None = Field(None, description="CSV file with a column `file` (a clip's name) and one for each fact")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", FutureWarning)  # may mean something else to a later Python
                groups = re.compile(pattern).groupindex
        except (re.error, FutureWarning) as error:
            raise ValueError(f"is not a regular expression ({error})") from error
        if unknown := [name for name in groups if name not in FACTS]:
            raise ValueError(f"the group {unknown[0]!r} is none of {', '.join(FACTS)}")
        return pattern

    @model_validator(mode="after")
    def _says_the_action(self) -> Self:
        if self.table is None and "action" not in re.compile(self.pattern).groupindex:
            raise ValueError("the pattern needs a group (?P<action>...), or there must be a table that says it")
        return self


class Coordinates(Strict):
    """How coordinates are stored.

    Args:
        format: csv, npz or json.
        axes: What is stored of a joint, in this order; `-y` has the other sign, other names are ignored. Default: x, y,
            z.
        unit: Metres for a stored 1. Default: 1.
        missing: What to do about missing joints: "fill" or "set-aside". Default: fill.
        missing_value: Value that marks a missing joint if all axes have it, as NaN does. Default: None.
        columns: csv: names of the columns, such as `{joint}_{axis}`. Default: None, no header and all in order.
        delimiter: csv: character between cells. Default: a comma.
        frame: csv: column that numbers frames. Default: None.
        body: csv: column that identifies people; needs `frame`. Default: None.
        key: npz: name of the array; json: where the numbers are, such as `frames[].joints`. Default: None.
        order: npz, json: axes of the array: frames T, joints V, coordinates C, bodies M. Default: TVC.
    """

    format: Literal["csv", "npz", "json"]
    axes: tuple[str, ...] = Field(
        ("x", "y", "z"), description="what is stored of a joint, in this order; '-y': with the other sign; or ignored"
    )
    unit: float = Field(1.0, gt=0, allow_inf_nan=False, description="how many metres a stored 1 is")
    missing: Literal["fill", "set-aside"] = Field("fill", description="what to do about joints that are not there")
    missing_value: float | None = Field(None, description="a joint with this in all axes is missing, as NaN is")
    columns: str | None = Field(None, description="csv: names as '{joint}_{axis}'; without: no header, all in order")
    delimiter: str = Field(",", min_length=1, max_length=1, description="csv")
    frame: str | None = Field(None, description="csv: the column that numbers frames")
    body: str | None = Field(None, description="csv: the column that tells people apart; then `frame`, too")
    key: str | None = Field(None, description="npz: the array; json: where the numbers are, as 'frames[].joints'")
    order: str = Field("TVC", description="npz, json: the array's axes: frames T, joints V, coordinates C, bodies M")

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
        if sorted(order) not in (sorted("TVC"), sorted("MTVC")):
            raise ValueError("must be the letters T, V and C, and M where bodies are an axis, in the array's order")
        return order

    @field_validator("columns")
    @classmethod
    def _is_template(cls, columns: str | None) -> str | None:
        if columns is not None and not all(part in columns for part in (JOINT, AXIS)):
            raise ValueError("must hold {joint} and {axis}, as in '{joint}_{axis}'")
        return columns

    def column(self, joint: str, axis: str) -> str:
        """Return the name of the column of a joint and an axis."""
        return (self.columns or "").replace(JOINT, joint).replace(AXIS, axis)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        depth = (self.key or "").count("[]")
        if self.format == "csv" and (self.key is not None or self.order != "TVC"):
            raise ValueError("key and order are for npz and json")
        if self.format != "csv" and (self.columns or self.frame or self.body):
            raise ValueError("columns, frame and body are for csv")
        if self.body is not None and (self.frame is None or self.columns is None):
            raise ValueError("body needs frame and columns: which rows are of one moment")
        if self.frame is not None and self.columns is None:
            raise ValueError("frame needs columns: the file's header")
        if depth and (self.format != "json" or not self.order.endswith("VC") or depth != len(self.order) - 2):
            raise ValueError("key: each [] of a json key is one letter of order in front of VC, as 'frames[].joints'")
        return self

    @property
    def stored_axes(self) -> tuple[str, ...]:
        """Names of the stored axes without signs."""
        return tuple(axis.removeprefix("-") for axis in self.axes)


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
        train_file: File with names of the training clips, one a line. Default: None.
        test_file: File with names of the test clips. Default: None, all others.
    """

    by: Literal["subject", "camera", "setup", "replication"] | None = Field(
        None, description="default: subject for xsub, camera for xview, setup for xset"
    )
    train: tuple[int | str, ...] = ()
    test: tuple[int | str, ...] = Field((), description="without: all others")
    train_file: str | None = Field(None, description="clips' names, one a line")
    test_file: str | None = Field(None, description="without: all others")

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        lists, numbers = self.train_file is not None, bool(self.train)
        if lists == numbers:
            raise ValueError("needs train = [...] or train_file = '...'")
        if (lists and (self.test or self.by)) or (numbers and self.test_file is not None):
            raise ValueError("is by numbers (by, train, test) or by files (train_file, test_file), not both")
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
        folder: Folder of the files that are named here. Default: None, beside the description.
        files: Which files are clips.
        coordinates: How coordinates are stored.
        skeleton: The joints.
        numbers: Numbers for texts, as in `[numbers.camera] left = 1`. Default: none.
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
    folder: str | None = Field(None, description="where the files named here lie; default: beside the description")
    files: Files
    coordinates: Coordinates
    skeleton: JointLayout
    numbers: dict[Literal["action", "subject", "camera", "setup", "replication"], dict[str, Number]] = Field(
        default_factory=dict, description="numbers for texts, as [numbers.camera] left = 1"
    )
    splits: dict[Literal["xsub", "xview", "xset"], SplitRule] = Field(default_factory=dict)

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
        return KINECT_V2 if self.skeleton.ntu else self.skeleton.own(self.name)
