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
}


def escape(text: str, breakable: bool = False) -> str:
    """Text as LaTeX. Letters that pdfLaTeX does not know are shown without accents, or as `?`.

    Args:
        breakable: lines may break after slashes, as in addresses.
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
            plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
            parts.append(escape(plain) or "?")
    return "".join(parts)
