"""Lists refusals whose words stand in no test: messages of errors that may never have been provoked.

A message is taken as tested where three of its words in a row stand in a test, or in a table of cases beside the tests.
Messages that only pass on another one's words are left out. It is a guess by words: it finds candidates, not proofs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ERRORS = {"UsageError", "StarsBenchError", "ParseError", "UnknownNumber", "ValueError", "NothingLeft", "Refused"}
ERRORS |= {"NotDerivable", "WrongEncoder"}
SET_ASIDE = "SetAside"
IN_A_ROW = 3


def words_of(text: str) -> list[str]:
    """Return the words of a text or a pattern, without marks and escapes."""
    return re.sub(r"[^\w\s/<>=&@%-]", " ", text.replace("\\n", " ")).lower().split()


def runs_of(words: list[str]) -> set[str]:
    """Return what is looked for of a piece of a message: three words in a row, or both of two."""
    length = min(IN_A_ROW, len(words))
    return {" ".join(words[i : i + length]) for i in range(len(words) - length + 1)} if length > 1 else set()


def refusals(path: Path) -> Iterator[tuple[int, str, set[str]]]:
    """Yield line, error and runs of words of every refusal in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        call = node.exc if isinstance(node, ast.Raise) else node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if call.func.id not in (ERRORS if isinstance(node, ast.Raise) else {SET_ASIDE}):
            continue
        texts = [found.value for found in ast.walk(call) if isinstance(found, ast.Constant)]
        runs = set().union(*(runs_of(words_of(text)) for text in texts if isinstance(text, str)))
        if runs:
            yield call.lineno, ast.unparse(call), runs


def main() -> int:
    """Print the refusals without a test, and how many there are."""
    tests = (path for path in (ROOT / "tests").rglob("*") if path.suffix in (".py", ".toml"))
    tested = " ".join(" ".join(words_of(path.read_text(encoding="utf-8"))) for path in tests)
    total, left = 0, []
    for path in sorted((ROOT / "stars_bench").rglob("*.py")):
        for line, call, runs in refusals(path) if "templates" not in path.parts else ():
            total += 1
            if not any(run in tested for run in runs):
                left.append(f"{path.relative_to(ROOT)}:{line}: {call:.160}")
    print("\n".join(left))
    print(f"{total:,} refusals, {len(left)} whose words stand in no test")
    return 0


if __name__ == "__main__":
    sys.exit(main())
