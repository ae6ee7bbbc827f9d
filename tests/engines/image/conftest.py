"""One registry, one build host and one first build for all stories here: building packages takes the longest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.build_hosts import BuildHost, build_host
from tests.engines.image.making import double, settings_for
from tests.engines.registries import Registry, serve_registry
from worker.builders.image.builder import ImageBuilder
from worker.specs import BuildResult, BuildSpec

__all__ = ["build_host"]


@dataclass(frozen=True)
class First:
    """The first build of all: the packages were not there yet."""

    spec: BuildSpec
    home: Path
    result: BuildResult
    log: tuple[str, ...]


@pytest.fixture(scope="session")
def registry() -> Iterator[Registry]:
    with serve_registry() as registry:
        yield registry


@pytest.fixture(scope="session")
def first(registry: Registry, build_host: BuildHost, tmp_path_factory: pytest.TempPathFactory) -> First:
    home, lines = tmp_path_factory.mktemp("first"), []
    spec, builder = double(home), ImageBuilder(settings_for(registry, build_host))
    return First(spec, home, builder.build(spec, home, lines.append), tuple(lines))
