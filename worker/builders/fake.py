"""A builder that touches nothing but a dict, for tests and demonstrations; it can be told to fail."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from worker.builders.base import Builder, BuildSettings, Tell, keep_quiet
from worker.errors import ToolError
from worker.specs import BuildResult, BuildSpec, Message, Step


@dataclass
class FakeBuilds:
    """The fake's world: what was built, and the error that the next builds end in."""

    results: dict[str, BuildResult] = field(default_factory=dict)
    built: int = 0
    error: ToolError | None = None


WORLD = FakeBuilds()


class FakeBuilder(Builder):
    """Digests the words of the spec; ``WORLD.error`` makes every build fail until it is taken away."""

    def __init__(self, settings: BuildSettings | None = None) -> None:
        self.settings = settings or BuildSettings()

    def build(self, spec: BuildSpec, home: Path, tell: Tell = keep_quiet) -> BuildResult:
        if WORLD.error is not None:
            raise WORLD.error
        digest = hashlib.sha256(repr(spec).encode()).hexdigest()
        lock = hashlib.sha256("".join(sorted(spec.requirements)).encode()).hexdigest()
        WORLD.built += 1
        steps = (Step("lock", 0.0), Step("environment", 0.0), Step("bundle", 0.0, Message("Nothing was built")))
        return WORLD.results.setdefault(digest, BuildResult(digest, f"fake:{digest}", f"fake:{lock}", lock, steps))


def forget_all() -> None:
    """An empty world without errors."""
    WORLD.results.clear()
    WORLD.built, WORLD.error = 0, None
