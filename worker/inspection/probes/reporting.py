"""Tells the outside what happens, one JSON object a line: the check, its state, a code and plain facts."""

import json
import math
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any, TextIO

GOLDEN = 4 << 20  # bytes of JSON of a request; a longer one is not kept, with its answer twice as much

# Distributions that bring a library; xgboost also comes as xgboost-cpu.
_DISTRIBUTIONS = {"xgboost": ("xgboost", "xgboost-cpu")}


class Failure(Exception):
    """A check failed for a reason that has a name; ``facts`` go with it."""

    def __init__(self, code: str, **facts: Any) -> None:
        self.code = code
        self.facts = facts
        super().__init__(code)


class Reporter:
    """Writes events to the file that the outside reads along."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, event: dict[str, Any]) -> None:
        self._file.write(json.dumps(plain(event), allow_nan=False) + "\n")
        self._file.flush()

    @contextmanager
    def check(self, name: str) -> Iterator[dict[str, Any]]:
        """Report a check's beginning and its outcome; what is put into the facts is reported with it.

        An exception is the outcome ``failed`` and ends the probe. ``facts["state"]`` and ``facts["code"]`` may say
        otherwise than ``passed``.
        """
        self.write({"check": name, "state": "running"})
        start, facts = time.monotonic(), {}  # type: ignore[var-annotated]
        try:
            yield facts
        except Exception as error:
            code, more = (
                (error.code, error.facts) if isinstance(error, Failure) else ("error", {"error": describe(error)})
            )
            event = {
                "check": name,
                "state": "failed",
                "code": code,
                "facts": {**facts, **more},
                "seconds": time.monotonic() - start,
            }
            self.write(event)
            raise SystemExit(0) from error
        state, code = facts.pop("state", "passed"), facts.pop("code", "")
        self.write({"check": name, "state": state, "code": code, "facts": facts, "seconds": time.monotonic() - start})


def describe(error: BaseException) -> str:
    """The first line of an error, short enough to show."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}"[:300]


def installed(library: str) -> tuple[str, str]:
    """The distribution that brings a library here, and its version."""
    for name in _DISTRIBUTIONS.get(library, (library,)):
        try:
            return name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    raise Failure("not_installed", library=library)


def plain(value: Any) -> Any:
    """The same value made of what JSON has; numbers that it has not become null."""
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return None if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 1e15 else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str | int | bool | None) else str(value)


def start() -> tuple[dict[str, Any], Reporter]:
    """The request from standard input, and where to report. Libraries' chatter stays out of it."""
    request = json.load(sys.stdin)
    warnings.simplefilter("ignore")
    return request, Reporter(open(request["events"], "a", encoding="utf-8"))
