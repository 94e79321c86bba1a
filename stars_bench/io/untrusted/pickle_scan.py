"""What a pickle would do, found out without doing it: opcode by opcode; what only attacks need is refused.

In: the bytes of a pickle. Out: nothing, or the reason why it must not be loaded. Beside what it calls (`unpickle.py`
answers that), a small pickle can ask for much memory or time:

- Python's C unpickler makes room for any number under which a pickle stores a value: nine bytes can ask for 32 GB. No
  pickler numbers a value higher than it has written opcodes.
- The hash of a tuple is that of its items, each time anew: a tuple of two references to a tuple of two references ...
  takes for ever as a dictionary's key. Keys are texts and numbers here, and there are no sets.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Iterator
from typing import Any, cast

STORE = ("PUT", "BINPUT", "LONG_BINPUT")
RECALL = ("GET", "BINGET", "LONG_BINGET")
SETS = ("EMPTY_SET", "ADDITEMS", "FROZENSET")
TEXTS = tuple(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.stack_after in ([pickletools.pyunicode], [pickletools.pybytes], [pickletools.pybytes_or_str])
)
NUMBERS = ("BININT", "BININT1", "BININT2", "BINFLOAT", "FLOAT", "NONE", "NEWTRUE", "NEWFALSE")
LONG_NUMBERS = ("INT", "LONG", "LONG1", "LONG4")
LARGEST = 2**63


class Refused(pickle.UnpicklingError):
    """The pickle asks for something that no array and no plain container needs."""


def scan(data: Any, start: int = 0) -> int:
    """Read the opcodes of one pickle without acting on them; where it ends.

    Args:
        data: Bytes, or a file mapped into memory.
        start: Where in it the pickle begins.

    Raises:
        Refused: It holds what only an attack needs.
        Exception: It is damaged, in any way.
    """
    stack = _Stack()
    file = _From(data, start)
    opcodes = cast(Iterator[tuple[pickletools.OpcodeInfo, Any, int]], pickletools.genops(file))  # type: ignore[arg-type]
    for count, (opcode, argument, _) in enumerate(opcodes):
        if opcode.name in STORE and int(argument) > count:
            raise Refused(f"it stores a value under the number {argument}, to make the reader run out of memory")
        if opcode.name == "FRAME" and argument > len(data) - file.at:
            raise ValueError("cut off")
        if opcode.name in SETS:
            raise Refused("it holds a set, which no array and no plain container needs")
        stack.take(opcode, argument)
    return file.at


class _From:
    """The part of bytes that begins somewhere, as a file to read from."""

    def __init__(self, data: Any, at: int) -> None:
        self.data, self.at = data, at

    def read(self, size: int) -> bytes:
        part: bytes = self.data[self.at : self.at + size]
        self.at += len(part)
        return part

    def readline(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        return self.read((len(self.data) if end < 0 else end + 1) - self.at)

    def tell(self) -> int:
        return self.at


class _Stack:
    """What an unpickler would have on its stack: of each value whether it may be a key; None for a mark."""

    def __init__(self) -> None:
        self.items: list[bool | None] = []
        self.memo: dict[int, bool | None] = {}

    def take(self, opcode: pickletools.OpcodeInfo, argument: Any) -> None:
        name = opcode.name
        if name in STORE or name == "MEMOIZE":
            self.memo[len(self.memo) if argument is None else int(argument)] = self.items[-1]
        elif name in RECALL:
            self.items.append(self.memo[int(argument)])
        elif name == "DUP":
            self.items.append(self.items[-1])
        elif name == "MARK":
            self.items.append(None)
        else:
            taken = self.pop(opcode)
            keys = {"SETITEM": taken[1:2], "SETITEMS": taken[1::2], "DICT": taken[::2]}.get(name, ())
            if not all(keys):
                raise Refused("a key of a dictionary is neither a text nor a number")
            is_key = name in TEXTS or name in NUMBERS or (name in LONG_NUMBERS and abs(int(argument)) < LARGEST)
            self.items += [is_key] * len(opcode.stack_after)

    def pop(self, opcode: pickletools.OpcodeInfo) -> list[bool | None]:
        """Take off what an opcode needs, the first first, marks left out."""
        needs = opcode.stack_before
        taken: list[bool | None] = []
        if pickletools.markobject in needs:
            while (item := self.items.pop()) is not None:
                taken.append(item)
            needs = needs[: needs.index(pickletools.markobject)]
        taken += [self.items.pop() for _ in needs]
        return taken[::-1]
