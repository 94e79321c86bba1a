"""Any text as LaTeX that prints it: special characters escaped, what plain pdfLaTeX lacks spelt in ASCII or math."""

from __future__ import annotations

import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': "''",  # \textquotedbl needs a font encoding that plain documents do not load
    "`": "{`}",  # after ? and ! it would turn them round
    "±": r"$\pm$",
    "–": "--",
    "*": r"$^{*}$",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "‖": r"$^{\|}$",
    "△": r"$^{\triangle}$",
    "◇": r"$^{\diamond}$",
    "☆": r"$^{\star}$",
    "•": r"$^{\bullet}$",
    "°": r"$^{\circ}$",
}


_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030c": "v ", "\u0327": "c "}
"""Combining characters, and the commands of plain LaTeX that put them on a letter."""


def escape(text: str, breakable: bool = False) -> str:
    """Escape text for LaTeX; accents are kept if common, other letters that pdfLaTeX lacks lose theirs or become `?`.

    Other letters that pdfLaTeX does not know lose theirs, or become `?`.

    Args:
        text: The text.
        breakable: Whether lines may break after slashes, as in addresses. Default: False.
    """
    parts = []
    for character in " ".join(text.split()):
        if character in _SPECIAL:
            parts.append(_SPECIAL[character])
        elif character == "-" and parts and parts[-1].endswith("-"):
            parts.append("{}-")  # two in a row would become a dash
        elif character == "/" and breakable:
            parts.append(r"/\allowbreak{}")
        elif character.isascii():
            parts.append(character if character.isprintable() else "?")
        else:
            parts.append(_accented(character))
    return "".join(parts)


def _accented(character: str) -> str:
    """Return a character that is not ASCII: an accented letter, what it can be spelt as, or `?`."""
    letter, accent = (parts := unicodedata.normalize("NFD", character))[0], parts[1:]
    if accent in _ACCENTS and letter.isascii():
        return "{" + "\\" + _ACCENTS[accent] + (r"\i" if letter == "i" else letter) + "}"
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return escape(plain) or "?"
