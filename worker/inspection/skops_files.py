"""Reads what a skops file would make when opened: its ``schema.json``, without skops.

Loaders and names are compared with our own lists; skops' list of trusted types and the file's own wishes decide
nothing.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from worker.inspection import archives
from worker.inspection.allowlist import Allowed
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

ENTRIES = 100_000  # one for each array: a boosted model has thousands
SCHEMA_BYTES = 48 << 20
SCHEMA_PARTS = 1_000_000  # lists, dictionaries and their items: a forest of 1,000 trees has 400,000, in 17 MB
UNPACKED = 4 << 30
SCHEMA = "schema.json"

_VERSION = re.compile(r'"([\w.+-]{1,40})"')

# Not among them, on purpose: PartialNode, MethodNode, OperatorFuncNode and whatever is new.
_LOADERS = frozenset(
    """
    BytearrayNode BytesNode CachedNode ConstructorFromReduceNode DTypeNode DefaultDictNode DictNode FunctionNode
    JsonNode ListNode LossNode MaskedArrayNode NdArrayNode ObjectNode RandomGeneratorNode RandomStateNode
    SetNode SliceNode SparseMatrixNode TreeNode TupleNode TypeNode
    """.split()  # noqa: SIM905 - a readable block of names
)

_PLAIN = frozenset(
    """
    builtins:NoneType builtins:bool builtins:bytearray builtins:bytes builtins:complex builtins:dict
    builtins:float builtins:frozenset builtins:int builtins:list builtins:set builtins:slice builtins:str
    builtins:tuple collections:defaultdict collections:OrderedDict numpy.random._generator:Generator
    numpy.random.mtrand:RandomState numpy:bool
    """.split()  # noqa: SIM905 - a readable block of names
)


class Contents(NamedTuple):
    """What a file would make, and who says to have written it."""

    names: set[str]  # module:name
    versions: set[str]  # of scikit-learn


def read(data: Any) -> Contents:
    """Every name that the file mentions; refuses loaders that are not on our list."""
    entries = archives.read_zip(data, ENTRIES)
    schema = next((entry for entry in entries if entry.name == SCHEMA), None)
    if schema is None:
        raise _broken()
    archives.refuse_bomb(entries, UNPACKED)
    for entry in entries:  # unpacked once here, so that the sandbox meets no bomb
        if entry is not schema:
            for _ in archives.stream(data, entry):
                pass
    contents = Contents(set(), set())
    for node in _nodes(read_schema(data, schema)):
        if "__loader__" in node or "__class__" in node or "__module__" in node:
            contents.names.add(_name(node))
        elif "_sklearn_version" in node:
            contents.versions.add(_version(node["_sklearn_version"]))
    return Contents(contents.names, contents.versions - {""})


def _version(node: Any) -> str:
    """The text in a node of JSON; nothing where it is something else."""
    text = node.get("content") if isinstance(node, dict) else None
    found = _VERSION.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found else ""


def read_schema(data: Any, schema: archives.Entry) -> dict[str, Any]:
    """The description of the model, refused before it is read where it would grow beyond what a model needs."""
    text = archives.read(data, schema, SCHEMA_BYTES)
    if sum(map(text.count, (b",", b"[", b"{"))) > SCHEMA_PARTS:
        raise _broken()
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken() from error
    if not isinstance(tree, dict) or "__loader__" not in tree:
        raise _broken()
    return tree


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every mapping in the description: the nodes, and the attributes of their objects."""
    waiting: list[Any] = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _name(node: dict[str, Any]) -> str:
    loader, module, name = (node.get(key) for key in ("__loader__", "__module__", "__class__"))
    if not isinstance(module, str) or not isinstance(name, str) or not isinstance(loader, str):
        raise _broken()
    if loader not in _LOADERS:
        raise Refusal(
            Message(
                gettext_noop("The file asks for the loader %(loader)s, which is not allowed."), {"loader": loader[:100]}
            ),
            Message(
                gettext_noop(
                    "Replace partial functions and methods in the model by plain parameters, or export it to ONNX."
                )
            ),
        )
    return f"{module}:{name}"


def forbidden(names: set[str], allowed: Allowed) -> list[str]:
    """Those names that are neither plain values nor on the list."""
    return sorted(
        name for name in names if name not in _PLAIN and ("." in name.partition(":")[2] or name not in allowed)
    )


def _broken() -> Refusal:
    return Refusal(
        Message(gettext_noop("The description inside the skops file cannot be read.")),
        Message(gettext_noop("Save the model again with skops.io.dump and upload the whole file.")),
    )
