"""Errors that a user can mend, and how any exception becomes one line: what is wrong, where, and what to do."""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, ParamSpec, TypeVar

if TYPE_CHECKING:
    from pydantic import ValidationError

P = ParamSpec("P")
R = TypeVar("R")

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""A disk, a quota, or a limit on the size of a file, that is used up."""

OF_THE_FILE = {None, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL}
"""Errors of reading that come from the file itself. All others come from the disk, the network, permissions or limits:
they may be over in a minute, and say nothing about the content of the file."""


class StarsBenchError(Exception):
    """A fault of the input or of how a command was used, in one line: what, where, and what to do."""

    is_consequence: ClassVar[bool] = False
    """Whether it follows from the fault of another process, which reports that fault itself."""


class UsageError(StarsBenchError):
    """Wrong usage of a command or a function (exit code 2 on the command line)."""


def printable(text: str, most: int = 200) -> str:
    """Make text from a file safe for a message: on one line, short, without control characters.

    Args:
        text: The text.
        most: Number of characters to keep. Default: 200.

    Returns:
        The first characters; control characters are written as escape sequences.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])


def one_line(error: BaseException) -> str:
    """Describe any exception in one line.

    Args:
        error: The exception.

    Returns:
        The whole text of a StarsBenchError; the file and the cause of an error of the file system; the file and line of
        a SyntaxError; of all others the type and the first line of the text.
    """
    if isinstance(error, StarsBenchError):
        return " ".join(str(error).splitlines())  # the name of a file may contain line breaks
    if cause := _cause_on_disk(error):
        return ": ".join(str(part) for part in (getattr(error, "filename", None), cause) if part is not None)
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{kind}: {error.msg} in {error.filename}:{error.lineno}"
    first = printable(str(error).strip().partition("\n")[0], 400)
    return f"{kind}: {first}" if first else kind


def cause(error: BaseException) -> str:
    """Describe any exception in one line, without the file that it names.

    Args:
        error: The exception.

    Returns:
        The cause of an error of the file system, for a message that names the file itself; else as `one_line`.
    """
    return _cause_on_disk(error) or one_line(error)


def _cause_on_disk(error: BaseException) -> str | None:
    if is_disk_full(error):
        return "the disk (or a quota) is full; make room and run the same command again, which resumes"
    return error.strerror if isinstance(error, OSError) else None


def disk_failed(error: BaseException | None) -> bool:
    """Return whether a file could not be read for a reason that says nothing about its content."""
    return isinstance(error, OSError) and error.errno not in OF_THE_FILE


def not_read(what: object, error: BaseException) -> StarsBenchError:
    """Return the error to raise where `disk_failed`.

    Args:
        what: The file.
        error: What reading it raised.
    """
    return StarsBenchError(
        f"{what}: cannot be read now ({cause(error)}); the file itself may be whole: mend that, then run the same again"
    )


def not_written(out: Path, error: BaseException) -> StarsBenchError:
    """Return the error to raise where making a file or folder failed, which may be for a file that was read for it.

    Args:
        out: What was to be written.
        error: What making it raised.
    """
    place = getattr(error, "filename", None)
    read = Path(place) if isinstance(place, str) else None
    if read is not None and read.is_file() and not read.absolute().is_relative_to(out.absolute().parent):
        return not_read(read, error)
    return StarsBenchError(f"{out}: cannot be written ({cause(error)})")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file where the disk fails while the block reads it, which the system's own error does not.

    Raises:
        StarsBenchError: The disk fails.
    """
    try:
        yield
    except OSError as error:
        if disk_failed(error):
            raise not_read(path, error) from error
        raise


def of_validation(error: ValidationError, where: str) -> str:
    """Describe the first fault that pydantic found, in one line.

    Args:
        error: What `model_validate` raised.
        where: The file, method or option that the values come from.

    Returns:
        `where: key: what is wrong (got value)`; without the value where the message is our own or the key is missing.
    """
    fault = error.errors(include_url=False)[0]
    key = ".".join(map(str, fault["loc"]))
    message = fault["msg"]
    if fault["type"] in ("value_error", "assertion_error"):
        message = message.partition(", ")[2]  # without pydantic's "Value error, "
    elif fault["type"] in ABOUT_KEYS:
        message = ABOUT_KEYS[fault["type"]]
    elif fault["type"] in ("list_type", "tuple_type"):
        message = f"a list, not one value: [{printable(str(fault['input']), 100)}]"
    else:
        got = f" (got {fault['input']!r:.100})" if key else ""
        message = message[:1].lower() + message[1:] + got
    return f"{where}: {printable(f'{key}: {message}' if key else message, 400)}"


ABOUT_KEYS = {"extra_forbidden": "there is no such key", "missing": "is missing"}
"""Pydantic's types of faults that concern the key, not its value, in words."""


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error says that the disk is full; HDF5 says so in its text only."""
    full = any(f"errno = {number}," in str(error) for number in DISK_FULL)
    return full or getattr(error, "errno", None) in DISK_FULL


# ------------------------------------------------------------------------------------- options in Python's terms

SWITCHES = {
    "force": "overwrite",
    **{name: name.replace("-", "_") for name in ("fit-batch", "compile", "deterministic")},
}
"""Options of the command line that have no value, and the arguments of functions that they are."""
ARGUMENTS = {"set": "settings", "eval": "evaluations", "seed": "seeds"}
"""Options whose arguments have other names; all others have the same, with underscores."""
_VALUE = r"""(?:[\w.+-]+=)?(?:\[[^\]]*\]|"[^"]*"|[^\s;,()]*[^\s;,():.])"""
_IN_MESSAGE = re.compile(rf"`[^`]*`|stars-bench [^;)]*|(?<!\S)(\(?)--([a-z][a-z-]*)(?:[ =]({_VALUE}))?")


def python_terms(message: str) -> str:
    """Write the options of the command line in a message as the arguments of a function.

    A message may say `--option`, `--option value` or `--set key=value`. Commands to run (in backticks, or from
    "stars-bench" on) stay as they are.

    Args:
        message: Such as "--stream bones: there are joint, bone, motion".

    Returns:
        Such as 'stream="bones": there are joint, bone, motion'.
    """
    return _IN_MESSAGE.sub(_argument, message)


def _argument(found: re.Match[str]) -> str:
    before, option, value = found.groups()
    if option is None:
        return found[0]
    if option in SWITCHES:
        return f"{before}{SWITCHES[option]}=True{'' if value is None else ' ' + value}"
    name = ARGUMENTS.get(option, option.replace("-", "_"))
    key, equals, of_key = (value or "").partition("=")
    if value is None or (option == "set" and not equals):
        return f"{before}{name}{'' if value is None else ' ' + value}"
    return f'{before}{name}={{"{key}": {_literal(of_key)}}}' if option == "set" else f"{before}{name}={_literal(value)}"


def _literal(text: str) -> str:
    """Write a value as Python does: a word in quotes; a number, a list and a placeholder (N, FILE) as they are."""
    return text if re.fullmatch(r"[A-Z]+|-?[\d.e+-]+|[\[\"].*", text) else f'"{text}"'


def for_python(function: Callable[P, R]) -> Callable[P, R]:
    """Let a public function fail with its arguments in the message, where the command line has options.

    Args:
        function: The function.

    Returns:
        The same function; a StarsBenchError that it raises says `python_terms`.
    """

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except StarsBenchError as error:
            error.args = (python_terms(str(error)), *error.args[1:])
            raise

    return called
