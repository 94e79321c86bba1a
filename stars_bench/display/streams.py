"""The standard streams and the width of the terminal as the shell, a scheduler or a pipe has left them, made usable.

Output goes to files, pipes and consoles of any encoding (cp1252, gbk, shift_jis, ASCII), streams may be closed, and
COLUMNS may hold anything. To be called before a console is made.
"""

from __future__ import annotations

import codecs
import os
import sys

NARROWEST, WIDEST = 40, 1_000
"""Columns of a terminal that COLUMNS is believed; rich would make lines of 10^9 characters."""
INSTEAD = dict(zip("✓✗█·–—…²†‡§¶▁▂▃▄▅▆▇•━╸╺×", "+x#--" + "-.2'\"$&" + "_.,-=+*" + "*---x", strict=True))
INSTEAD |= {"±": "+-", "→": "->", "≤": "<=", "≥": ">="}
"""What is printed for a character that the encoding of the stream does not have; for any other it is `?`."""
HANDLER = "print-instead"


def make_usable() -> None:
    """Open closed streams to nowhere, print what an encoding lacks by something else, and forget an absurd COLUMNS."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # else the next file that is opened would get what is printed
            os.open(os.devnull, os.O_RDWR)
    codecs.register_error(HANDLER, _instead)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=HANDLER)
    columns = os.environ.get("COLUMNS", "")
    if columns and not (columns.isdecimal() and NARROWEST <= int(columns[:9]) <= WIDEST):
        del os.environ["COLUMNS"]


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(INSTEAD.get(one, "?") for one in lacking), error.end
