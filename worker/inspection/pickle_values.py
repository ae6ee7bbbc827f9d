"""What lies on the stack of the inert machine instead of real objects, and the two ways a pickle is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


class Broken(Exception):
    """No pickler writes this: damaged, truncated or crafted. The text completes “The pickle cannot be read: …”."""


class Forbidden(Exception):
    """The pickle asks for a name, or for a use of it, that is not on the list."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


@dataclass(slots=True, eq=False)
class Name:
    """A class or function, by name only."""

    name: str


@dataclass(slots=True, frozen=True)
class Blob:
    """Bytes that were stepped over."""

    length: int


@dataclass(slots=True, frozen=True)
class Text:
    """A long string that was stepped over: neither a name nor a key that matters."""

    start: int


@dataclass(slots=True, eq=False)
class Bag:
    """A list or a set, whose items nobody asks for."""

    kind: str


# What later instructions need to know of a dictionary: joblib's array description and the library's version.
KEPT = frozenset(
    {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes", "_sklearn_version"}
)
FIELDS = 64
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(slots=True, eq=False)
class Record:
    """A dictionary that remembers the few keys of ``KEPT``, its first values and whether there were other keys.

    A crafted pickle makes millions of empty ones: those own nothing.
    """

    kept: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    values: tuple[Any, ...] = ()  # at most FIELDS of them
    is_long: bool = False
    has_others: bool = False
    has_dunder: bool = False

    def put(self, key: Any, value: Any) -> None:
        if isinstance(key, Bag | Record):
            raise Broken("a key is a list or a dictionary")
        if len(self.values) < FIELDS:
            self.values += (value,)
        else:
            self.is_long = True
        if type(key) is str and key in KEPT:
            self.kept = {**self.kept, key: value}
            return
        self.has_others = True
        if type(key) is str and key.startswith("__") and key.endswith("__"):
            self.has_dunder = True


@dataclass(slots=True, eq=False)
class Dtype:
    """A numpy element type, as far as sizes and references to objects go."""

    kind: str
    itemsize: int
    fields: dict[str, "Dtype"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Stub:
    """An object that was not made."""

    name: str
    built: bool = False
    dtype: Dtype | None = None
    items: Record | None = None  # of those that are dictionaries, too
