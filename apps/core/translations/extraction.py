"""Every text of ours that goes through gettext, found without running anything."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation.template import templatize

ROOMS = ("apps", "controlplane", "worker")
PLAIN = {"_", "gettext", "gettext_lazy", "gettext_noop"}
PLURAL = {"ngettext", "ngettext_lazy"}
IN_CONTEXT = {"pgettext", "pgettext_lazy"}
# What templatize() writes for the tags of a template; anything else in there is blanked out.
CALL = re.compile(
    r""" ((?:gettext|ngettext|pgettext|npgettext|_)\((?:[^'"()]|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")*\)) """
)


@dataclass(frozen=True)
class Text:
    """One text to translate: what gettext looks it up by."""

    singular: str
    plural: str = ""
    context: str = ""


def find_texts(root: Path) -> dict[Text, list[str]]:
    """Texts in the order in which they stand, each with the files (relative to ``root``) that hold it."""
    found: dict[Text, list[str]] = {}
    for path in sorted(_files(root)):
        name = path.relative_to(root).as_posix()
        source = path.read_text(encoding="utf-8")
        for text in read_python(source) if path.suffix == ".py" else read_template(source, name):
            places = found.setdefault(text, [])
            if name not in places:
                places.append(name)
    return found


def read_python(source: str) -> Iterator[Text]:
    """Texts of a Python file: literal arguments of the functions of gettext, under the names that we import them by."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        text = _text_of(_name(call), [_literal(argument) for argument in call.args])
        if text:
            yield text


def read_template(source: str, name: str) -> Iterator[Text]:
    """Texts of a template's ``translate`` and ``blocktranslate`` tags and ``_()`` arguments; ``%`` comes doubled."""
    for call in CALL.findall(templatize(source, name)):
        yield from read_python(call)


def _files(root: Path) -> Iterator[Path]:
    for room in ROOMS:
        yield from (path for path in (root / room).rglob("*.py") if path.parent.name != "migrations")
    for ending in ("*.html", "*.txt"):
        yield from (root / "templates").rglob(ending)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _literal(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _text_of(function: str, literals: list[str]) -> Text | None:
    """The text that a call asks for, or None where it is no call of gettext or no literal."""
    if function in PLAIN and literals and literals[0]:
        return Text(literals[0])
    if function in PLURAL and len(literals) >= 2:
        return Text(literals[0], plural=literals[1])
    if function in IN_CONTEXT and len(literals) >= 2:
        return Text(literals[1], context=literals[0])
    if function == "npgettext" and len(literals) >= 3:
        return Text(literals[1], plural=literals[2], context=literals[0])
    return None
