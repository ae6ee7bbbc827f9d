"""Reads what TorchScript code and an exported graph would call, without torch: every operator by name.

The code in an archive is text that torch itself wrote (``torch/csrc/jit/serialization/python_print.cpp``): operators as
``torch.name(…)`` or ``ops.space.name(…)``, methods as ``(x).name(…)``. It is cut into words; what does not look like
that is refused, so nothing depends on understanding the language as torch does.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

_LIST = Path(__file__).with_name("torch_operators.txt")

CODE_BYTES = 4 << 20  # of all code in one archive
WORDS = 500_000  # of all that code
PARTS = 1_000_000  # of a graph

_TOKEN = re.compile(
    r"""(?P<space>[ \t\n]+)
    |(?P<text>"(?:[^"\\\n]|\\[^\n])*")
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?j?)
    |(?P<chain>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
    |(?P<mark>->|[-+*/%<>=!&|^~()\[\]{}:,.;@])""",
    re.VERBOSE | re.ASCII,
)
_DEFINITION = re.compile(r"^[ \t]*def ([A-Za-z_]\w*)\(", re.MULTILINE | re.ASCII)
_CLASS = re.compile(r"^(?:class|def) ([A-Za-z_]\w*)[(:]", re.MULTILINE | re.ASCII)
_TARGET = re.compile(r"torch\.ops\.(aten|prims)\.([A-Za-z_]\w*)\.\w+", re.ASCII)

# Of the space ``prim``: what is about types and tuples, and what ends a run with an error.
_PRIM = frozenset(
    """
    NumToTensor RaiseException TupleIndex TupleUnpack abs annotate data device dtype grad_of is_cpu is_cuda is_sparse
    isinstance layout max min rangelist requires_grad shape tolist type unchecked_cast unchecked_unwrap_optional
    """.split()  # noqa: SIM905 - a readable block of names
)
# Arithmetic on sizes in exported graphs.
_SIZES = re.compile(
    r"_operator\.(?:abs|add|and_|eq|floordiv|ge|getitem|gt|le|lt|mod|mul|ne|neg|not_|or_|pow|sub|truediv)"
    r"|math\.(?:ceil|floor|trunc)|torch\.sym_(?:float|int|ite|max|min|not|sqrt|sum)"
)
_PRIMS = frozenset(
    """
    abs acos acosh add asin asinh atan atanh broadcast_in_dim ceil convert_element_type cos cosh device_put div eq erf
    exp floor ge gt le log lt mul ne neg pow remainder reshape resize round sin sinh sqrt squeeze sub sum tan tanh
    transpose var where
    """.split()  # noqa: SIM905 - a readable block of names
)
_TAKEN = frozenset({"from_file", "load", "load_tensor", "save"})  # no method of a model may be called like these


class Unlisted(Exception):
    """The code calls something that is not on the list."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Unreadable(Exception):
    """The code is not as torch writes it."""


@cache
def operators() -> frozenset[str]:
    """Every operator that may be called, without its space."""
    lines = _LIST.read_text("utf-8").splitlines()
    return frozenset(name for line in lines if not line.startswith("#") for name in line.split())


def names_in(code: str) -> set[str]:
    """The classes and functions that a file of code defines."""
    return set(_CLASS.findall(code))


def check_code(files: list[str]) -> set[str]:
    """Every operator that the code of one archive calls; Unlisted names the first that may not be."""
    defined = {name for code in files for name in _DEFINITION.findall(code)}
    if defined & _TAKEN:
        raise Unlisted(min(defined & _TAKEN))
    found: set[str] = set()
    left = WORDS
    for code in files:
        before = word = ""
        is_chain = False
        for kind, after in chain(_tokens(code), [("", "")]):
            left -= 1
            if left < 0:
                raise Unreadable
            if is_chain:
                _check_chain(word, before == ".", after == "(", defined, found)
            before, word, is_chain = word, after, kind == "chain"
    return found


def _tokens(code: str) -> Iterator[tuple[str, str]]:
    pos = 0
    while pos < len(code):
        match = _TOKEN.match(code, pos)
        if match is None:
            raise Unreadable
        pos = match.end()
        if match.lastgroup != "space":
            yield str(match.lastgroup), match[0]


def _check_chain(word: str, is_member: bool, is_call: bool, defined: set[str], found: set[str]) -> None:
    """One dotted name: an operator, a name of the archive's own, or a variable."""
    head, *rest = word.split(".")
    if not is_member and head == "torch":
        if len(rest) != 1 or not is_call or rest[0] not in operators():
            raise Unlisted(word)
        found.add(rest[0])
    elif not is_member and head == "ops":
        is_listed = len(rest) == 2 and is_call and (
            rest[1] in _PRIM if rest[0] == "prim" else rest[0] == "aten" and rest[1] in operators()
        )  # fmt: skip
        if not is_listed:
            raise Unlisted(word)
        found.add(rest[1])
    elif word.startswith("__torch__.torch.classes") or (not is_member and not rest and head in ("import", "from")):
        raise Unlisted(word)
    elif is_call and (rest or is_member) and not (not is_member and head == "__torch__"):
        name = rest[-1] if rest else head
        if name not in defined and name not in operators():
            raise Unlisted(word)
        found.update({name} - defined)


def check_graph(graph: Any) -> set[str]:
    """Every operator that an exported graph calls, at any depth; Unlisted names the first that may not be."""
    found: set[str] = set()
    waiting, left = [graph], PARTS
    while waiting:
        item = waiting.pop()
        left -= 1
        if left < 0:
            raise Unreadable
        if isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            if "target" in item and "inputs" in item:
                found.add(_checked_target(item["target"]))
            waiting.extend(item.values())
    return found


def _checked_target(target: Any) -> str:
    match = _TARGET.fullmatch(target) if isinstance(target, str) else None
    if match and match[2] in (operators() if match[1] == "aten" else _PRIMS):
        return match[2]
    if isinstance(target, str) and _SIZES.fullmatch(target):
        return target
    raise Unlisted(str(target)[:200])
