"""What each instruction of a pickle does to the inert machine. Instructions that are not here are refused.

Left out on purpose: INST and OBJ, persistent ids, the extension registry, out-of-band buffers, NEWOBJ_EX, and the text
instructions of protocols 0 and 1.
"""

from collections.abc import Callable
from typing import Any

from worker.inspection import pickled_arrays as arrays
from worker.inspection.allowlist import CALL, NEW
from worker.inspection.pickle_machine import LONG_BYTES, Machine, Step
from worker.inspection.pickle_values import Bag, Broken, Forbidden, Record, Stub

STEPS: dict[int, Step] = {}

_GROWING = frozenset({"collections:OrderedDict", "collections:defaultdict", "sklearn.utils._bunch:Bunch"})


def _opcode(*codes: int) -> Callable[[Step], Step]:
    def register(step: Step) -> Step:
        STEPS.update(dict.fromkeys(codes, step))
        return step

    return register


# --- plain values -------------------------------------------------------------------------------------------------


@_opcode(0x80)
def _proto(m: Machine) -> None:
    protocol = m.take(1)[0]
    if m.protocol or not 2 <= protocol <= 5:
        raise Broken("its protocol is not one of 2 to 5")
    m.protocol = protocol


@_opcode(0x95)
def _frame(m: Machine) -> None:
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
def _long(m: Machine) -> None:
    count = m.number("<B") if m.data[m.pos - 1] == 0x8A else m.number("<i")
    if not 0 <= count <= LONG_BYTES:
        raise Broken("a number is too long")
    m.push(int.from_bytes(m.take(count), "little", signed=True))


# --- containers ---------------------------------------------------------------------------------------------------


@_opcode(0x28)
def _mark(m: Machine) -> None:
    m.marks.append(m.stack)
    m.stack = []


@_opcode(0x30)
def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.since_mark()


@_opcode(0x31)
def _pop_mark(m: Machine) -> None:
    m.since_mark()


@_opcode(0x5D)
def _empty_list(m: Machine) -> None:
    m.push(Bag("list"))


@_opcode(0x8F)
def _empty_set(m: Machine) -> None:
    m.push(Bag("set"))


@_opcode(0x7D)
def _empty_dict(m: Machine) -> None:
    m.push(Record())


@_opcode(0x91)
def _frozenset(m: Machine) -> None:
    for item in m.since_mark():
        m.hand_over(item)
    m.push(Bag("frozenset"))


@_opcode(0x85, 0x86, 0x87)
def _short_tuple(m: Machine) -> None:
    count = m.data[m.pos - 1] - 0x84
    if len(m.stack) < count:
        raise Broken("it takes more than it has put down")
    items = tuple(m.stack[-count:])
    m.stack[-count:] = [items]


@_opcode(0x74)
def _tuple(m: Machine) -> None:
    items = tuple(m.since_mark())
    m.push(items)


@_opcode(0x61, 0x65)
def _append(m: Machine) -> None:
    items = [m.pop()] if m.data[m.pos - 1] == 0x61 else m.since_mark()
    _grow(m, items, "list")


@_opcode(0x90)
def _add_items(m: Machine) -> None:
    _grow(m, m.since_mark(), "set")


def _grow(m: Machine, items: list[Any], kind: str) -> None:
    target = m.top()
    if not isinstance(target, Bag) or target.kind != kind:
        raise Broken(f"it appends to something that is not a {kind}")
    for item in items:
        m.hand_over(item)


@_opcode(0x73, 0x75)
def _set_items(m: Machine) -> None:
    if m.data[m.pos - 1] == 0x73:
        value, key = m.pop(), m.pop()
        items = [key, value]
    else:
        items = m.since_mark()
    target = m.top()
    if len(items) % 2:
        raise Broken("a key has no value")
    if isinstance(target, Stub) and target.name in _GROWING:
        target.items = target.items or Record()
        target = target.items
    if not isinstance(target, Record):
        raise Broken("it sets an item of something that is not a dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target.put(m.hand_over(key), m.hand_over(value))


# --- the memo -----------------------------------------------------------------------------------------------------


@_opcode(0x94)
def _memoize(m: Machine) -> None:
    m.memo[len(m.memo)] = m.top()


@_opcode(0x71, 0x72)
def _put(m: Machine) -> None:
    index = m.number("<B") if m.data[m.pos - 1] == 0x71 else m.number("<I")
    if index > len(m.memo):
        raise Broken("it keeps something out of order")
    m.memo[index] = m.top()


@_opcode(0x68, 0x6A)
def _get(m: Machine) -> None:
    index = m.number("<B") if m.data[m.pos - 1] == 0x68 else m.number("<I")
    if index not in m.memo:
        raise Broken("it takes back something that it never kept")
    m.push(m.memo[index])


# --- names and objects --------------------------------------------------------------------------------------------


@_opcode(0x63)
def _global(m: Machine) -> None:
    module = m.line()
    m.push(m.resolve(module, m.line()))


@_opcode(0x93)
def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    m.push(m.resolve(module, name))


@_opcode(0x52)
def _reduce(m: Machine) -> None:
    args, function = m.pop(), m.pop()
    name = m.use(function, CALL)
    if type(args) is not tuple:
        raise Broken("arguments are not a tuple")
    rule = arrays.CALLS.get(name)
    if rule is None:
        m.hand_over(args)
    m.push(rule(args) if rule else Stub(name))


@_opcode(0x81)
def _new(m: Machine) -> None:
    args, cls = m.pop(), m.pop()
    name = m.use(cls, NEW)
    if args != ():
        raise Forbidden(name)
    m.push(Stub(name))


@_opcode(0x62)
def _build(m: Machine) -> None:
    state, target = m.pop(), m.top()
    if not isinstance(target, Stub) or target.built:
        raise Broken("it sets the state of something that it did not make")
    target.built = True
    if target.name == arrays.WRAPPER:
        _raw_array(m, state)
    elif target.name in arrays.STATES:
        arrays.STATES[target.name](target, state)
    else:
        _set_state(m, state)


def _set_state(m: Machine, state: Any) -> None:
    m.hand_over(state)
    for part in state if type(state) is tuple else (state,):
        if isinstance(part, Record):
            if part.has_dunder:
                raise Broken("it sets a special attribute")
            m.findings.versions.update(v for k, v in part.kept.items() if k == "_sklearn_version" and type(v) is str)


def _raw_array(m: Machine, state: Any) -> None:
    """The bytes of an array follow the instruction that describes it; step over exactly those."""
    if m.nested or m.pos < m.frame_end:
        raise Broken("an array lies where none can be")
    m.pop()
    m.findings.raw_arrays += 1
    m.frame_end = 0
    shape, dtype, alignment = arrays.read_wrapper(state)
    if dtype.kind == "O":
        nested = Machine(m.data, m.pos, m.allowed, m.findings, nested=True)
        root = nested.run(STEPS)
        if not isinstance(root, Stub) or root.name != arrays.ARRAY:
            raise Broken("an array of objects holds something else")
        m.pos = nested.pos
    else:
        if alignment and m.take(1)[0] > alignment:
            raise Broken("the gap before an array is too wide")
        m.skip(m.data[m.pos - 1] if alignment else 0)
        m.skip(arrays.count(shape) * dtype.itemsize)
    m.push(Stub(arrays.ARRAY, built=True))
