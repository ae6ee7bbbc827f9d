"""An inert pickle machine: walks a pickle as Python would, importing and calling nothing.

Every name is compared with an exact list; objects are stubs that remember only where they came from. The machine is stricter
than Python's two: it accepts what picklers of protocol 2 to 5 write for ordinary models, and nothing that the two would read
differently. A pickle that passes is still opened only inside the sandbox.

The stream of joblib is a pickle with raw array bytes between its instructions: see ``pickled_arrays``.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from worker.inspection import pickled_arrays as arrays
from worker.inspection.allowlist import CALL, NEW, VALUE, Allowed
from worker.inspection.pickle_values import Bag, Blob, Broken, Forbidden, Name, Record, Stub, Text

INSTRUCTIONS = 20_000_000  # about 20 s; a forest of 1,000 trees has 40,000
MEMO = 3_000_000
STACK = 1_000_000
NAME_LENGTH = 256
LONG_BYTES = 1024
GROUPS = 10_000  # open at the same time
TUPLES = 16  # inside each other

_RENAMED = {"copy_reg": "copyreg", "__builtin__": "builtins"}  # Python 2 names that protocol 2 still writes
_GROWING = frozenset({"collections:OrderedDict", "collections:defaultdict", "sklearn.utils._bunch:Bunch"})

Buffer = Any  # bytes or mmap: indexing gives an int, slicing gives bytes


@dataclass
class Findings:
    """What a pickle would make when opened."""

    root: str = ""  # module:name of the object it holds, or the kind of plain value
    names: dict[str, set[str]] = field(default_factory=dict)  # every name with what is done to it
    instructions: int = 0
    raw_arrays: int = 0  # arrays of joblib between the instructions
    versions: set[str] = field(default_factory=set)  # of scikit-learn, as the estimators carry it


def walk(data: Buffer, allowed: Allowed | None) -> Findings:
    """Everything that opening ``data`` would touch.

    Raises Forbidden for what is not in ``allowed`` and Broken for what no pickler writes. ``allowed=None`` records all names
    without judging them; it exists to generate the list and decides nothing.
    """
    machine = _Machine(data, 0, allowed, Findings())
    root = machine.run()
    if machine.pos != len(data):
        raise Broken("%d bytes follow its end" % (len(data) - machine.pos))
    machine.findings.root = root.name if isinstance(root, Stub | Name) else _kind(root)
    return machine.findings


def _kind(value: Any) -> str:
    if isinstance(value, Bag):
        return value.kind
    return "dict" if isinstance(value, Record) else type(value).__name__


_OPCODES: dict[int, Callable[["_Machine"], None]] = {}


def _opcode(*codes: int) -> Callable[[Callable[["_Machine"], None]], Callable[["_Machine"], None]]:
    def register(step: Callable[["_Machine"], None]) -> Callable[["_Machine"], None]:
        _OPCODES.update(dict.fromkeys(codes, step))
        return step

    return register


class _Machine:
    """One stream. A nested one (an array of objects in joblib's) shares the findings and has its own stack and memo."""

    def __init__(
        self, data: Buffer, pos: int, allowed: Allowed | None, findings: Findings, *, nested: bool = False
    ) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data)
        self.allowed = allowed
        self.findings = findings
        self.nested = nested
        self.frame_end = 0
        self.protocol = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        opcodes, findings = _OPCODES, self.findings
        while True:
            code = self.data[self.skip(1)]
            findings.instructions += 1
            if code == 0x2E:  # STOP
                return self.finish()
            step = opcodes.get(code)
            if step is None:
                raise Broken("it uses instruction 0x%02x, which no current version of Python writes" % code)
            step(self)
            if findings.instructions > INSTRUCTIONS or len(self.memo) > MEMO or len(self.stack) > STACK:
                raise Broken("it has too many parts")
            if len(self.marks) > GROUPS:
                raise Broken("it is nested too deeply")

    def finish(self) -> Any:
        root = self.pop()
        if self.stack or self.marks or not self.protocol or self.pos < self.frame_end:
            raise Broken("it does not end where it should")
        return root

    # --- bytes ---------------------------------------------------------------------------------------------------

    def skip(self, count: int) -> int:
        """Step over ``count`` bytes, which must lie in one frame and in the file; gives where they start."""
        start, self.pos = self.pos, self.pos + count
        if start < self.frame_end < self.pos:
            raise Broken("an instruction crosses the end of its frame")
        if count < 0 or self.pos > self.end:
            raise Broken("it ends in the middle")
        return start

    def take(self, count: int) -> bytes:
        start = self.skip(count)
        piece: bytes = self.data[start : self.pos]
        return piece

    def number(self, layout: str) -> int:
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return value

    def line(self) -> str:
        stop = self.data.find(b"\n", self.pos, self.pos + NAME_LENGTH)
        if stop < 0:
            raise Broken("a name has no end")
        return self.take(stop + 1 - self.pos)[:-1].decode("utf-8", "replace")

    def text(self, count: int) -> None:
        self.push(self.take(count).decode("utf-8", "surrogatepass") if count <= NAME_LENGTH else Text(self.skip(count)))

    def blob(self, count: int) -> None:
        if count <= NAME_LENGTH:
            return self.push(self.take(count))
        self.skip(count)
        self.push(Blob(count))

    # --- the stack ------------------------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise Broken("it takes more than it has put down")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise Broken("it takes more than it has put down")
        return self.stack[-1]

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise Broken("it ends a group that it never began")
        items, self.stack = self.stack, self.marks.pop()
        return items

    # --- names ----------------------------------------------------------------------------------------------------

    def resolve(self, module: Any, name: Any) -> Name:
        if type(module) is not str or type(name) is not str:
            raise Broken("a name is not text")
        full = f"{_RENAMED.get(module, module)}:{name}"
        if self.allowed is not None and (full not in self.allowed or "." in name):
            raise Forbidden(full)
        self.findings.names.setdefault(full, set())
        return Name(full)

    def use(self, name: Any, role: str) -> str:
        """The full name, if this role is allowed to it."""
        if not isinstance(name, Name):
            raise Broken("it calls something that is not a name")
        self.findings.names[name.name].add(role)
        if self.allowed is not None and role not in self.allowed[name.name]:
            raise Forbidden(name.name)
        return name.name

    def hand_over(self, value: Any, depth: int = 0) -> Any:
        """A name that ends up as somebody's data, also inside tuples, must be allowed as such."""
        if isinstance(value, Name):
            self.use(value, VALUE)
        elif type(value) is tuple:
            if depth > TUPLES:
                raise Broken("it is nested too deeply")
            for inner in value:
                self.hand_over(inner, depth + 1)
        return value


# --- plain values -------------------------------------------------------------------------------------------------


@_opcode(0x80)
def _proto(m: _Machine) -> None:
    protocol = m.take(1)[0]
    if m.protocol or not 2 <= protocol <= 5:
        raise Broken("its protocol is not one of 2 to 5")
    m.protocol = protocol


@_opcode(0x95)
def _frame(m: _Machine) -> None:
    size = m.number("<Q")
    if m.pos < m.frame_end or size > m.end - m.pos:
        raise Broken("a frame does not fit")
    m.frame_end = m.pos + size


for _code, _value in ((0x4E, None), (0x88, True), (0x89, False), (0x29, ())):
    _opcode(_code)(lambda m, value=_value: m.push(value))  # type: ignore[misc]
for _code, _layout in ((0x4A, "<i"), (0x4B, "<B"), (0x4D, "<H"), (0x47, ">d")):
    _opcode(_code)(lambda m, layout=_layout: m.push(m.number(layout)))  # type: ignore[misc]
for _code, _layout in ((0x8C, "<B"), (0x58, "<I"), (0x8D, "<Q")):
    _opcode(_code)(lambda m, layout=_layout: m.text(m.number(layout)))  # type: ignore[misc]
for _code, _layout in ((0x43, "<B"), (0x42, "<I"), (0x8E, "<Q"), (0x96, "<Q")):
    _opcode(_code)(lambda m, layout=_layout: m.blob(m.number(layout)))  # type: ignore[misc]


@_opcode(0x8A, 0x8B)
def _long(m: _Machine) -> None:
    count = m.number("<B") if m.data[m.pos - 1] == 0x8A else m.number("<i")
    if not 0 <= count <= LONG_BYTES:
        raise Broken("a number is too long")
    m.push(int.from_bytes(m.take(count), "little", signed=True))


# --- containers ---------------------------------------------------------------------------------------------------


@_opcode(0x28)
def _mark(m: _Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


@_opcode(0x30)
def _pop(m: _Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.since_mark()


@_opcode(0x31)
def _pop_mark(m: _Machine) -> None:
    m.since_mark()


@_opcode(0x5D)
def _empty_list(m: _Machine) -> None:
    m.push(Bag("list"))


@_opcode(0x8F)
def _empty_set(m: _Machine) -> None:
    m.push(Bag("set"))


@_opcode(0x7D)
def _empty_dict(m: _Machine) -> None:
    m.push(Record())


@_opcode(0x91)
def _frozenset(m: _Machine) -> None:
    for item in m.since_mark():
        m.hand_over(item)
    m.push(Bag("frozenset"))


@_opcode(0x85, 0x86, 0x87)
def _short_tuple(m: _Machine) -> None:
    count = m.data[m.pos - 1] - 0x84
    if len(m.stack) < count:
        raise Broken("it takes more than it has put down")
    items = tuple(m.stack[-count:])
    m.stack[-count:] = [items]


@_opcode(0x74)
def _tuple(m: _Machine) -> None:
    items = tuple(m.since_mark())
    m.push(items)


@_opcode(0x61, 0x65)
def _append(m: _Machine) -> None:
    items = [m.pop()] if m.data[m.pos - 1] == 0x61 else m.since_mark()
    _grow(m, items, "list")


@_opcode(0x90)
def _add_items(m: _Machine) -> None:
    _grow(m, m.since_mark(), "set")


def _grow(m: _Machine, items: list[Any], kind: str) -> None:
    target = m.top()
    if not isinstance(target, Bag) or target.kind != kind:
        raise Broken("it appends to something that is not a %s" % kind)
    for item in items:
        m.hand_over(item)


@_opcode(0x73, 0x75)
def _set_items(m: _Machine) -> None:
    if m.data[m.pos - 1] == 0x73:
        value, key = m.pop(), m.pop()
        items = [key, value]
    else:
        items = m.since_mark()
    target = m.top()
    if len(items) % 2:
        raise Broken("a key has no value")
    if isinstance(target, Stub) and target.name in _GROWING:
        target = target.items
    if not isinstance(target, Record):
        raise Broken("it sets an item of something that is not a dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target.put(m.hand_over(key), m.hand_over(value))


# --- the memo -----------------------------------------------------------------------------------------------------


@_opcode(0x94)
def _memoize(m: _Machine) -> None:
    m.memo[len(m.memo)] = m.top()


@_opcode(0x71, 0x72)
def _put(m: _Machine) -> None:
    index = m.number("<B") if m.data[m.pos - 1] == 0x71 else m.number("<I")
    m.memo[index] = m.top()


@_opcode(0x68, 0x6A)
def _get(m: _Machine) -> None:
    index = m.number("<B") if m.data[m.pos - 1] == 0x68 else m.number("<I")
    if index not in m.memo:
        raise Broken("it takes back something that it never kept")
    m.push(m.memo[index])


# --- names and objects --------------------------------------------------------------------------------------------


@_opcode(0x63)
def _global(m: _Machine) -> None:
    module = m.line()
    m.push(m.resolve(module, m.line()))


@_opcode(0x93)
def _stack_global(m: _Machine) -> None:
    name, module = m.pop(), m.pop()
    m.push(m.resolve(module, name))


@_opcode(0x52)
def _reduce(m: _Machine) -> None:
    args, function = m.pop(), m.pop()
    name = m.use(function, CALL)
    if type(args) is not tuple:
        raise Broken("arguments are not a tuple")
    rule = arrays.CALLS.get(name)
    if rule is None:
        m.hand_over(args)
    m.push(rule(args) if rule else Stub(name))


@_opcode(0x81)
def _new(m: _Machine) -> None:
    args, cls = m.pop(), m.pop()
    name = m.use(cls, NEW)
    if args != ():
        raise Forbidden(name)
    m.push(Stub(name))


@_opcode(0x62)
def _build(m: _Machine) -> None:
    state, target = m.pop(), m.top()
    if not isinstance(target, Stub) or target.built:
        raise Broken("it sets the state of something that it did not make")
    target.built = True
    if target.name == arrays.WRAPPER:
        return _raw_array(m, state)
    rule = arrays.STATES.get(target.name)
    if rule:
        return rule(target, state)
    m.hand_over(state)
    for part in state if type(state) is tuple else (state,):
        if isinstance(part, Record):
            if part.has_dunder:
                raise Broken("it sets a special attribute")
            m.findings.versions.update(v for k, v in part.kept.items() if k == "_sklearn_version" and type(v) is str)


def _raw_array(m: _Machine, state: Any) -> None:
    """The bytes of an array follow the instruction that describes it; step over exactly those."""
    if m.nested or m.pos < m.frame_end:
        raise Broken("an array lies where none can be")
    m.pop()
    m.findings.raw_arrays += 1
    m.frame_end = 0
    shape, dtype, alignment = arrays.read_wrapper(state)
    if dtype.kind == "O":
        nested = _Machine(m.data, m.pos, m.allowed, m.findings, nested=True)
        root = nested.run()
        if not isinstance(root, Stub) or root.name != arrays.ARRAY:
            raise Broken("an array of objects holds something else")
        m.pos = nested.pos
    else:
        if alignment and m.take(1)[0] > alignment:
            raise Broken("the gap before an array is too wide")
        m.skip(m.data[m.pos - 1] if alignment else 0)
        m.skip(arrays.count(shape) * dtype.itemsize)
    m.push(Stub(arrays.ARRAY, built=True))
