"""An image of a 50 MB model, packages present: how long each step takes, and what MLflow's image waits for meanwhile.

``python -m tests.bench.image [--mlflow]`` needs docker and docker-registry, and root. It builds the packages once,
then a model of 50 MB twice over them with new weights each time, pulls the second image onto an engine that has the
first, and starts it. With ``--mlflow`` it does the same two models with ``mlflow models build-docker``, without a
registry between: whose image is built where it runs needs no pull.
"""

import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.bench import image_mlflow
from tests.engines.build_hosts import BuildHost, open_build_host
from tests.engines.image.making import SERVING, double, settings_for
from tests.engines.registries import PASSWORD, USER, serve_registry
from tests.worker.builders.making import store_model
from worker.builders.image.builder import ImageBuilder
from worker.specs import BuildResult, BuildSpec

MEGABYTES = 50
ONNX = f"onnx=={version('onnx')}"  # with which MLflow reads the model


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="slw-bench-") as folder, serve_registry() as registry:
        home = Path(folder)
        with open_build_host() as host:
            builder = ImageBuilder(settings_for(registry, host))
            show("first model of all: packages are built", builder.build(double(home), home))
            models = [heavy(home, seed=seed) for seed in (1, 2)]
            first, second = (builder.build(model, home) for model in models)
            show(f"{MEGABYTES} MB model, packages present", first)
            show(f"{MEGABYTES} MB model with new weights", second)
            start(host, first.location)
            pulled, ready = start(host, second.location)
            print(f"\nonto an engine that has the packages: pulled in {pulled:.1f} s, ready {ready:.1f} s after that")
        if "--mlflow" in sys.argv:
            ours, theirs = sum(step.seconds for step in second.steps) + pulled + ready, 0.0
            for built, ready in image_mlflow.measure([model.file.path for model in models], (*SERVING, ONNX)):
                print(f"MLflow: built in {built:.1f} s, ready {ready:.1f} s after that")
                theirs = built + ready
            print(f"with new weights: MLflow {theirs:.1f} s, we {ours:.1f} s, {ours / theirs:.2f} of it")


def heavy(home: Path, *, seed: int) -> BuildSpec:
    """A model of 50 MB that adds the sum of its weights, scaled to nothing, to what it is given."""
    rows = np.random.default_rng(seed).standard_normal((MEGABYTES * 250_000,), dtype=np.float32)
    weights = numpy_helper.from_array(rows, "w")
    zero = numpy_helper.from_array(np.zeros((), dtype=np.float32), "zero")
    nodes = [
        helper.make_node("ReduceSum", ["w"], ["s"], keepdims=0),
        helper.make_node("Mul", ["s", "zero"], ["nothing"]),
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Add", ["twice", "nothing"], ["y"]),
    ]
    rows_of_two = ["N", 2]
    graph = helper.make_graph(
        nodes,
        "heavy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, rows_of_two)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, rows_of_two)],
        [weights, zero],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return replace(double(home), model="heavy", version=str(seed), file=store_model(home, model.SerializeToString()))


def show(title: str, result: BuildResult) -> None:
    print(f"\n{title}: {sum(step.seconds for step in result.steps):.2f} s")
    for step in result.steps:
        print(f"  {step.name:12}{step.seconds:8.2f} s  {step.detail}")


def start(host: BuildHost, location: str) -> tuple[float, float]:
    """Seconds to pull an image and, from there, until its replica is ready."""
    client = host.client
    begun = time.monotonic()
    client.api.pull(location, auth_config={"username": USER, "password": PASSWORD})
    pulled = time.monotonic()
    container = client.containers.run(location, detach=True, read_only=True, tmpfs={"/tmp": ""}, network_mode="none")
    try:
        while container.exec_run(["/opt/environment/bin/python", "/opt/healthcheck.py"]).exit_code:
            assert time.monotonic() < pulled + 120, container.logs().decode()
            time.sleep(0.05)
        return pulled - begun, time.monotonic() - pulled
    finally:
        container.remove(force=True)


if __name__ == "__main__":
    main()
