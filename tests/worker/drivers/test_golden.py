"""A running replica is asked its golden sample over HTTP, as a client would, and every way to differ is told."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.bundles import write_bundle
from tests.runtime.replicas import Replica, run_to_end, start
from tests.worker.builders.making import GOLDEN, make_model
from worker.drivers import endings
from worker.drivers.golden import replay
from worker.errors import ToolError


def make_bundle(folder: Path, golden: dict[str, Any]) -> Path:
    model = make_model(folder.parent).path.read_bytes()
    rows = [("x", "FP32", [-1, 2])], [("y", "FP32", [-1, 2])]
    return write_bundle(folder, model, *rows, name="a model", golden=golden)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with start(make_bundle(tmp_path_factory.mktemp("golden") / "bundle", GOLDEN)) as running:
        yield running


def other(**changes: Any) -> dict[str, Any]:
    """The golden sample with another answer."""
    golden = deepcopy(GOLDEN)
    golden["response"]["outputs"][0].update(changes)
    return golden


def test_the_same_answer_is_told_as_such(replica: Replica) -> None:
    told = replay(replica.address, "", "a model", GOLDEN, 3)
    assert str(told) == "Replica 3 answered its golden sample exactly as when it was examined"


def test_a_small_deviation_is_told_with_its_output(replica: Replica) -> None:
    told = replay(replica.address, "", "a model", other(data=[2.0, 4.0001]), 0)
    assert str(told) == "Replica 0 answered its golden sample at most 0.0001 apart, in y"


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"data": [2.0, 4.25]}, "output y differs by up to 0.25, tolerance 0.0001"),
        ({"data": [2.0, None]}, "output y holds other values"),
        ({"data": ["2", "4"]}, "output y holds other values"),
        ({"data": [2.0]}, "output y holds other values"),
        ({"shape": [2, 1]}, "output y is missing or has another shape"),
        ({"name": "z"}, "output z is missing or has another shape"),
    ],
)
def test_another_answer_is_an_error_with_the_worst_deviation(
    replica: Replica, changes: dict[str, Any], how: str
) -> None:
    with pytest.raises(ToolError) as caught:
        replay(replica.address, "", "a model", other(**changes), 0)
    assert how in str(caught.value)
    assert (caught.value.kind, caught.value.permanent) == ("golden_mismatch", True)


def test_a_refused_request_is_a_mismatch_too(replica: Replica) -> None:
    with pytest.raises(ToolError, match="refused with status 400"):
        replay(replica.address, "", "a model", {**GOLDEN, "request": {"inputs": []}}, 0)


def test_a_replica_that_ends_over_its_golden_sample_says_so(tmp_path: Path) -> None:
    """The model in the bundle is not the one that was examined: the runtime compares by itself, before it is ready."""
    ended = run_to_end(make_bundle(tmp_path / "bundle", other(data=[2.0, 5.0])))
    ending = endings.explain({"exit_code": ended.returncode}, (ended.stdout + ended.stderr).splitlines())
    assert ending.kind == "golden_mismatch"
    assert "output y differs by up to 1, tolerance 0.0001" in str(ending.reason)
    assert "golden request is answered differently" in ending.log
    assert any(json.loads(line).get("worst") == 1.0 for line in ended.stdout.splitlines() if line.startswith("{"))
