"""What `stars-bench doctor` found: one thing checked, how it stands and what to do; and the block for an issue."""

from __future__ import annotations

import getpass
import re
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from stars_bench.errors import StarsBenchError

State = Literal["OK", "warning", "problem"]
WIDTH = 80


@dataclass(frozen=True)
class Finding:
    """One line of the check.

    Args:
        matter: What was checked.
        state: "OK"; "warning", which costs speed or may surprise; "problem", which must be solved.
        text: What was found.
        remedy: What to do. Default: "", nothing.
    """

    matter: str
    state: State
    text: str
    remedy: str = ""


def check(findings: Iterable[Finding]) -> None:
    """Stop where there are problems.

    Raises:
        StarsBenchError: There is a problem; names how many there are.
    """
    number = sum(finding.state == "problem" for finding in findings)
    if number:
        raise StarsBenchError(f"{number} problem{'s' * (number != 1)} found: see the lines marked above")


def anonymous(text: str) -> str:
    """Replace the home folder by ~, and the user's name, where it is a part of a path, by USER."""
    with suppress(RuntimeError, KeyError):  # no home folder is known
        home = str(Path.home())
        if Path(home) != Path(home).parent:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    with suppress(OSError, KeyError, ImportError):  # no name is known
        text = re.sub(rf"(?<=[/\\]){re.escape(getpass.getuser())}(?![\w.-])", "USER", text)
    return text


def issue_block(findings: Sequence[Finding]) -> str:
    """Return the findings as plain text for an issue, without the user's name and home folder.

    Args:
        findings: What was found.

    Returns:
        Lines of at most 80 characters. Remedies are left out.
    """
    width = max((len(finding.matter) for finding in findings), default=0)
    lines = []
    for finding in findings:
        head = f"{finding.state:<8} {finding.matter:<{width}}  "
        text = anonymous(finding.text)
        lines += textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]
    return "\n".join(lines)


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings as JSON values, without the user's name and home folder.

    Args:
        findings: What was found.

    Returns:
        {"problems": int, "warnings": int, "findings": [{"matter", "state", "text", "remedy"}, ...]}.
    """
    states = [finding.state for finding in findings]
    return {
        "problems": states.count("problem"),
        "warnings": states.count("warning"),
        "findings": [{key: anonymous(value) for key, value in asdict(finding).items()} for finding in findings],
    }
