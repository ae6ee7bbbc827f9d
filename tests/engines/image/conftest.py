"""One registry, one build host and one first build for all stories here: building packages takes the longest."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.releases.services import BUILD_ATTEMPTS
from tests.engines.build_hosts import BuildHost, build_host
from tests.engines.image.making import double, settings_for
from tests.engines.registries import Registry, serve_registry
from worker.builders.image.builder import ImageBuilder
from worker.errors import ToolError
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
    for attempt in range(1, BUILD_ATTEMPTS + 1):  # as a worker tries again what may pass: the package index is far away
        try:
            return First(spec, home, builder.build(spec, home, lines.append), tuple(lines))
        except ToolError as error:
            if error.permanent or attempt == BUILD_ATTEMPTS:
                raise
    raise AssertionError
