"""The state of the inert machine: where it reads, its stack and memo, and the one place where names are judged."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.inspection.allowlist import VALUE, Allowed
from worker.inspection.pickle_values import Blob, Broken, Forbidden, Name, Text

# A forest of 1,000 trees has 40,000 instructions; a vocabulary of a million words has three million, of five bytes each
# on average. What is much denser is no model, so that the time for a file grows with its size and no faster.
INSTRUCTIONS = 20_000_000
INSTRUCTIONS_FREE = 500_000
BYTES_EACH = 4  # on average, beyond those
MEMO = 1_500_000
STACK = 1_000_000
NAME_LENGTH = 256
LONG_BYTES = 1024
GROUPS = 2_000  # open at the same time; Python's own pickler ends before
TUPLES = 16  # inside each other

_RENAMED = {"copy_reg": "copyreg", "__builtin__": "builtins"}  # Python 2 names that protocol 2 still writes

Buffer = Any  # bytes or mmap: indexing gives an int, slicing gives bytes


@dataclass
class Findings:
    """What a pickle would make when opened."""

    root: str = ""  # module:name of the object it holds, or the kind of plain value
    names: dict[str, set[str]] = field(default_factory=dict)  # every name with what is done to it
    instructions: int = 0
    raw_arrays: int = 0  # arrays of joblib between the instructions
    versions: set[str] = field(default_factory=set)  # of scikit-learn, as the estimators carry it


class Machine:
    """One stream. A nested one (an array of objects in joblib's) shares the findings and has its own stack and memo."""

    def __init__(
        self, data: Buffer, pos: int, allowed: Allowed | None, findings: Findings, *, nested: bool = False
    ) -> None:
        self.data = data
        self.pos = pos
        self.end = len(data)
        self.most = min(INSTRUCTIONS, INSTRUCTIONS_FREE + len(data) // BYTES_EACH)
        self.allowed = allowed
        self.findings = findings
        self.nested = nested
        self.frame_end = 0
        self.protocol = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.handed: dict[int, Any] = {}  # tuples that were handed over, by identity

    def run(self, steps: Mapping[int, "Step"]) -> Any:
        """Walk to the end of the stream; gives what it leaves behind."""
        data, end, findings, done = self.data, self.end, self.findings, self.findings.instructions
        while True:
            position = self.pos
            if position >= end:
                raise Broken("it ends in the middle")
            code = data[position]
            self.pos = position + 1
            done += 1
            step = steps.get(code)
            if step is None:
                findings.instructions = done
                if code == 0x2E:  # STOP
                    return self.finish()
                raise Broken(f"it uses instruction 0x{code:02x}, which no current version of Python writes")
            findings.instructions = done
            step(self)
            if findings.instructions != done:  # those of an array of objects inside
                done = findings.instructions
            if not done & 0xFFF:
                self.check_limits()

    def check_limits(self) -> None:
        """Asked now and then: a stream cannot grow far in between."""
        if len(self.marks) > GROUPS:
            raise Broken("it is nested too deeply")
        waiting = len(self.stack) + sum(map(len, self.marks))
        if self.findings.instructions > self.most or len(self.memo) > MEMO or waiting > STACK:
            raise Broken("it has too many parts")

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
        if count > NAME_LENGTH:
            self.push(Text(self.skip(count)))
            return
        try:
            self.push(self.take(count).decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise Broken("a text is not UTF-8") from error

    def blob(self, count: int) -> None:
        if count <= NAME_LENGTH:
            self.push(self.take(count))
        else:
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
        """A name that ends up as somebody's data, also inside tuples, must be allowed as such.

        Each tuple is gone through once: a few that hold each other many times over would take for ever.
        """
        if isinstance(value, Name):
            self.use(value, VALUE)
        elif type(value) is tuple and value and id(value) not in self.handed:
            if depth > TUPLES:
                raise Broken("it is nested too deeply")
            self.handed[id(value)] = value
            for inner in value:
                self.hand_over(inner, depth + 1)
        return value


Step = Callable[[Machine], None]
