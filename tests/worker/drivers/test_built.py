"""From a spec to an answer: a real build, with an environment of its own, started and called."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.promises.beds import ProcessBed
from tests.worker.builders.making import make_spec
from tests.worker.drivers.test_process import SECRET, infer, start_ready
from worker.builders.base import BuildSettings
from worker.builders.environment import EnvironmentBuilder
from worker.errors import ToolError
from worker.specs import BuildResult, BuildSpec


def build(spec: BuildSpec, home: Path) -> BuildResult:
    """From the cache alone where it has everything."""
    try:
        return EnvironmentBuilder(BuildSettings(offline=True)).build(spec, home)
    except ToolError:
        return EnvironmentBuilder().build(spec, home)


def test_what_was_built_answers(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    built = build(make_spec(tmp_path, (f"onnxruntime=={version('onnxruntime')}",)), tmp_path)
    bed = ProcessBed(tmp_path, request.getfixturevalue)
    try:
        spec = replace(bed.make(), location=built.location, environment=built.environment, digest=built.digest)
        assert spec.secret == SECRET
        assert infer(start_ready(bed, spec).address) == pytest.approx([6.0, 8.0])
    finally:
        bed.close()
