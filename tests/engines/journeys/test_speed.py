"""How long it takes from the last approval to the first answer, and where the time goes."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tusclient.client import TusClient

from tests.engines.journeys.production import Production
from tests.journeys import deadlines, steps
from tests.journeys.calls import call, wait_until
from tests.journeys.visitors import Visitor

GOAL_SECONDS = 10.0
LEEWAY = 4  # for a machine that is busy with everything else that these tests need, two processors in all
WIDTH = 3600  # × itself × 4 bytes: 50 MB


@pytest.fixture(scope="module")
def key(ada: Visitor) -> str:
    return steps.make_key(ada, "Speed", endpoints="*", scopes=("Read models", "Upload models", "Propose releases"))


@pytest.fixture(scope="module")
def release(slipway: Production, dana: Visitor, live: str, key: str, tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of a release of 50 MB that waits for its review. ``live`` has left the packages in the registry."""
    file = write_large(tmp_path_factory.mktemp("large") / "large.onnx")
    api = f"{slipway.web}/api/v1"
    client = TusClient(f"{api}/uploads/", headers={"Authorization": f"Bearer {key}"})
    uploader = client.uploader(str(file), metadata={"filename": file.name, "project": steps.PROJECT})
    uploader.upload()
    upload = str(uploader.url).rstrip("/").rpartition("/")[2]
    models = f"{api}/projects/{steps.PROJECT}/models/"
    assert call(models, key=key, body={"name": "large"}).status == 201
    made = call(f"{models}large/versions/", key=key, body={"upload": upload}).json["version"]
    version = f"{models}large/versions/{made}/"
    wait_until(lambda: call(version, key=key).json["state"] == "ready", deadlines.EXAMINED, what="the examination")
    dana.go(f"{steps.ROOM}/new-endpoint/")
    dana.page.get_by_label("Name", exact=True).fill("large")
    dana.page.get_by_label("Environment").select_option(label="production")
    dana.press("Save")
    asked = {"model": "large", "version": made, "endpoint": "large", "note": "Fifty megabytes"}
    return int(call(f"{api}/projects/{steps.PROJECT}/releases/", key=key, body=asked).json["id"])


def test_fifty_megabytes_answer_soon_after_the_approval(
    slipway: Production, rhea: Visitor, key: str, release: int
) -> None:
    rhea.go(f"{steps.ROOM}/releases/{release}/")
    rhea.page.get_by_label("Comment").fill("Quick, please.")
    body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, WIDTH], "data": [1.0] * WIDTH}]}
    url = f"{slipway.gateway}/{steps.PROJECT}/large/v2/models/large/infer"
    begun = time.monotonic()
    rhea.press("Approve")
    wait_until(lambda: call(url, key=key, body=body).status == 200, deadlines.LIVE, what="an answer")
    seconds = time.monotonic() - begun
    print(f"\napprove to answering, 50 MB on a Docker host, packages present: {seconds:.1f} s (goal {GOAL_SECONDS})")
    for name, share in shares(slipway, key, release):
        print(f"  {name:24} {share:5.1f} s")
    assert seconds < GOAL_SECONDS * LEEWAY


def shares(slipway: Production, key: str, release: int) -> list[tuple[str, float]]:
    """The steps of the build and of the start, as the release's timeline has them."""
    room = f"{slipway.web}/api/v1/projects/{steps.PROJECT}"
    build = call(f"{room}/releases/{release}/", key=key).json["build"]
    rows: list[dict[str, Any]] = call(f"{room}/deployments/", key=key).json["results"]
    started = next(row["id"] for row in rows if row["release"] == release)
    timeline = call(f"{room}/deployments/{started}/timeline/", key=key).json
    built = [(f"build: {step['name']}", float(step["seconds"])) for step in build["steps"]]
    return built + [(step["name"], float(step["seconds"])) for step in timeline if step["seconds"]]


def write_large(path: Path) -> Path:
    """One layer of random weights: nothing in it can be packed tighter."""
    weights = np.random.default_rng(7).standard_normal((WIDTH, WIDTH), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", WIDTH])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path
