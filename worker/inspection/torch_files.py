"""Examines archives of TorchScript and torch.export without torch: every member, whatever it is called.

Both are zip archives of one folder. Their pickles are walked by the inert machine with an exact list of names, their
code and graphs are searched for operators, weights are bytes; a member that neither format has is refused. What passes
is opened by torch only in a sandbox.

Sources: ``torch/csrc/jit/serialization`` (TorchScript), ``torch/export/pt2_archive`` (torch.export, since torch 2.8).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.inspection import archives, pickles, torch_code
from worker.inspection.allowlist import CALL, NEW, Allowed
from worker.inspection.archives import Entry
from worker.inspection.pickle_machine import Machine, Step
from worker.inspection.pickle_steps import STEPS
from worker.inspection.pickle_values import Broken, Forbidden, Name, Stub
from worker.inspection.protobuf import Buffer
from worker.inspection.refusals import Refusal
from worker.specs import Message, gettext_noop

ENTRIES = 100_000
PICKLE_BYTES = 64 << 20
GRAPH_BYTES = 8 << 20  # JSON takes up to twenty times as much memory

_SCRIPT = re.compile(
    r"(?P<pickle>data\.pkl|constants\.pkl|traced_inputs\.pkl|code/.+\.debug_pkl)|(?P<code>code/.+\.py)"
    r"|(?P<bytes>(?:data|constants|traced_inputs)/[0-9]+)"
    r"|(?P<note>version|byteorder|\.format_version|\.storage_alignment|\.data/(?:serialization_id|version))"
)
_EXPORT = re.compile(
    r"(?P<graph>models/[^/]+\.json)|(?P<weights>data/(?:weights|constants)/[^/]+_config\.json)"
    r"|(?P<inputs>data/sample_inputs/[^/]+\.pt)|(?P<bytes>data/(?:weights/weight|constants/tensor)_[0-9]+)"
    r"|(?P<note>archive_format|archive_version|version|byteorder|\.data/(?:serialization_id|version))"
)
_EAGER = re.compile(
    r"(?P<pickle>data\.pkl)|(?P<bytes>data/[0-9]+)"
    r"|(?P<note>version|byteorder|\.format_version|\.storage_alignment|\.data/(?:serialization_id|version))"
)

_STORAGES = frozenset(
    f"torch:{kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat")
)
_NAMES: Allowed = {
    "collections:OrderedDict": frozenset({CALL}),
    "torch._utils:_rebuild_tensor_v2": frozenset({CALL}),
    **{
        f"torch.jit._pickle:{name}": frozenset({CALL})
        for name in (
            "build_boollist", "build_doublelist", "build_intlist", "build_tensor_from_id", "build_tensorlist",
            "restore_type_tag",
        )
    },
    **dict.fromkeys(_STORAGES, frozenset[str]()),
}  # fmt: skip
_STORAGE = "torch:storage"


@dataclass(frozen=True)
class Findings:
    """What an archive would use."""

    operators: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    members: int = 0
    version: str = ""  # of torch, where the archive carries it


def read_script(data: Buffer) -> Findings:
    """What a TorchScript archive would use; refuses what is not on the lists, and members of other kinds."""
    members = _members(data, _SCRIPT)
    code = {name: _text(data, entry) for name, kind, entry in members if kind == "code"}
    if sum(map(len, code.values())) > torch_code.CODE_BYTES:
        raise _broken()
    operators = _judged(lambda: torch_code.check_code(list(code.values())))
    allowed = {**_NAMES, **_defined(code)}
    names: set[str] = set()
    for _, kind, entry in members:
        if kind == "pickle":
            names |= _walk(data, entry, allowed)
    return Findings(operators, names, len(members))


def read_export(data: Buffer) -> Findings:
    """What a torch.export archive would use; refuses what is not on the lists, and members of other kinds."""
    members = _members(data, _EXPORT)
    operators: set[str] = set()
    names: set[str] = set()
    version = ""
    for _, kind, entry in members:
        if kind == "graph":
            graph = _json(data, entry)
            operators |= _judged(lambda graph=graph: torch_code.check_graph(graph))
            version = str(graph.get("torch_version") or "") if isinstance(graph, dict) else ""
        elif kind == "weights":
            _refuse_pickled_weights(_json(data, entry))
        elif kind == "inputs":
            names |= _walk_inputs(archives.read(data, entry, PICKLE_BYTES))
    return Findings(operators, names, len(members), version)


def _members(data: Buffer, grammar: re.Pattern[str]) -> list[tuple[str, str, Entry]]:
    """Name below the one folder, kind and place of every member."""
    found = []
    folders = set()
    for entry in archives.read_zip(data, ENTRIES):
        folder, _, name = entry.name.partition("/")
        folders.add(folder)
        match = grammar.fullmatch(name)
        if match is None:
            raise _unknown_member(entry.name)
        found.append((name, str(match.lastgroup), entry))
    if len(folders) != 1:
        raise _broken()
    return found


def _defined(code: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """The classes that the archive's own code defines: its data may be instances of those."""
    return {
        f"{path.removeprefix('code/').removesuffix('.py').replace('/', '.')}:{name}": frozenset({NEW})
        for path, text in code.items()
        for name in torch_code.names_in(text)
    }


# --- pickles ------------------------------------------------------------------------------------------------------


def _persistent(machine: Machine) -> None:
    """A persistent id in torch's pickles is a tensor's storage, and nothing else."""
    word = machine.pop()
    if type(word) is not tuple or len(word) != 5 or word[0] != "storage" or word[3] not in ("cpu", "cuda:0"):
        raise Broken("a storage is described in an unusual way")
    _, kind, key, _, size = word
    if not isinstance(kind, Name) or type(key) is not str or not key.isdecimal() or type(size) is not int or size < 0:
        raise Broken("a storage is described in an unusual way")
    if kind.name not in _STORAGES:
        raise Forbidden(kind.name)
    machine.push(Stub(_STORAGE, built=True))


_STEPS: dict[int, Step] = {**STEPS, 0x51: _persistent}


def _walk(data: Buffer, entry: Entry, allowed: Allowed) -> set[str]:
    try:
        found = pickles.walk(archives.read(data, entry, PICKLE_BYTES), allowed, _STEPS)
    except Forbidden as error:
        raise _forbidden(error.name, entry.name) from error
    except Broken as error:
        raise _broken(str(error)) from error
    return set(found.names)


def _walk_inputs(data: bytes) -> set[str]:
    """The sample inputs of an exported graph: an archive of its own, with tensors only."""
    names: set[str] = set()
    members = _members(data, _EAGER)
    for _, kind, entry in members:
        if kind == "pickle":
            names |= _walk(data, entry, _NAMES)
    return names


# --- text ---------------------------------------------------------------------------------------------------------


def _text(data: Buffer, entry: Entry) -> str:
    try:
        return archives.read(data, entry, torch_code.CODE_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken() from error


def _json(data: Buffer, entry: Entry) -> Any:
    try:
        return json.loads(archives.read(data, entry, GRAPH_BYTES))
    except (ValueError, RecursionError) as error:
        raise _broken() from error


def _refuse_pickled_weights(config: Any) -> None:
    entries = config.get("config") if isinstance(config, dict) else None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise _broken()
    for name, entry in entries.items():
        if entry.get("use_pickle") is not False:
            raise _unknown_member(f"{name} (pickle)")


def _judged(check: Any) -> set[str]:
    try:
        found: set[str] = check()
    except torch_code.Unlisted as error:
        reason = gettext_noop("The model calls %(name)s, which is not on the list of operators that compute only.")
        advice = gettext_noop("Leave this operator out, or export the model to ONNX with torch.onnx.export.")
        raise Refusal(Message(reason, {"name": error.name[:200]}), Message(advice), {"name": error.name}) from error
    except torch_code.Unreadable as error:
        raise _broken() from error
    return found


def _forbidden(name: str, member: str) -> Refusal:
    shown = name.replace(":", ".")[:200]
    return Refusal(
        Message(
            gettext_noop("Opening %(member)s would use %(name)s, which is not on the list of known parts."),
            {"member": member[:200], "name": shown},
        ),
        Message(gettext_noop("Export the model to ONNX with torch.onnx.export(model, example, 'model.onnx').")),
        {"name": shown},
    )


def _unknown_member(name: str) -> Refusal:
    return Refusal(
        Message(gettext_noop("The archive holds %(name)s, which no such file has."), {"name": name[:200]}),
        Message(gettext_noop("Save the model again with torch.jit.save or torch.export.save and nothing added.")),
        {"name": name[:200]},
    )


def _broken(detail: str = "") -> Refusal:
    return Refusal(
        Message(gettext_noop("The archive is not as PyTorch writes it: it is damaged or made by hand.")),
        Message(
            gettext_noop("Save the model again with torch.jit.save or torch.export.save and upload the whole file.")
        ),
        {"detail": detail},
    )
