"""Pickles, told by what they would do: names say little, and protocols 0 and 1 begin like text."""

from __future__ import annotations

import ast
import pickletools
import re

PROTOCOL = re.compile(rb"\x80[\x02-\x05]")
NAMING = frozenset({"GLOBAL", "INST", "STACK_GLOBAL"})
CALLING = frozenset({"REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX"})
KEEPING = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
NUMPY = b"\x93NUMPY"
LONGEST_HEADER = 1 << 20


def is_pickle(content: bytes) -> bool:
    """Whether bytes are a pickle of any protocol, one that calls something before it breaks off, or numpy's objects."""
    return _has_objects(content) if content.startswith(NUMPY) else _does(content)


def _does(content: bytes) -> bool:
    """Whether reading these bytes as a pickle builds something. Text that begins like one empties its stack."""
    marked = PROTOCOL.match(content) is not None
    stack: list[object] = []
    names = keeps = False
    try:
        for step, argument, place in pickletools.genops(content):
            if not _apply(step, stack):
                return False
            if step.name in NAMING:
                if isinstance(argument, str) and not _is_name(argument):
                    return False
                names = True
            if names and step.name in CALLING:
                return True
            keeps |= step.name in KEEPING
            if step.name == "STOP":
                return marked or (place == len(content) - 1 and not stack and (names or keeps))
    except Exception:  # noqa: BLE001 - pickletools documents no exceptions; what it cannot read is no whole pickle
        return False
    return False


def _apply(step: pickletools.OpcodeInfo, stack: list[object]) -> bool:
    """Do to the stack what a step does, as pickletools.dis has it; False where the stack lacks what the step takes."""
    mark = pickletools.markobject
    takes = [*step.stack_before]
    if mark in takes or (step.name == "POP" and stack and stack[-1] is mark):
        while stack and stack[-1] is not mark:
            stack.pop()
        if not stack:
            return False
        stack.pop()
        takes = takes[: takes.index(mark)] if mark in takes else []
    if len(stack) < len(takes):
        return False
    del stack[len(stack) - len(takes) :]
    stack.extend(step.stack_after)
    return True


def _is_name(argument: str) -> bool:
    """Whether these are a module and a name in it, as pickletools tells the two."""
    module, _, name = argument.partition(" ")
    return all(part.isidentifier() for whole in (module, name) for part in whole.split("."))


def _has_objects(content: bytes) -> bool:
    """Whether an array in numpy's own format has objects, which are pickled. One that cannot be read counts."""
    width = 2 if content[6:7] == b"\x01" else 4
    length = int.from_bytes(content[8 : 8 + width], "little")
    if length > LONGEST_HEADER:
        return True
    try:
        kind = ast.literal_eval(content[8 + width : 8 + width + length].decode("latin-1").strip())["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        return True
    return _is_object(kind)


def _is_object(kind: object) -> bool:
    """Whether a dtype as numpy describes it has objects: `|O`, or a list of fields with one that does."""
    if isinstance(kind, str):
        return "O" in kind or "object" in kind
    if isinstance(kind, list):
        return any(_is_object(field[1]) for field in kind if isinstance(field, tuple) and len(field) > 1)
    return isinstance(kind, tuple) and bool(kind) and _is_object(kind[0])
