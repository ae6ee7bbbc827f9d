"""From start to end: what refuses to start and why, who may ask, what is measured, and how it leaves."""

import hashlib
import hmac
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

from tests.runtime import bundles
from tests.runtime.replicas import Replica, environment, read_all, read_answer, run_to_end, start

SECRET = "s3cret-of-this-replica"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.logistic_bundle(tmp_path_factory.mktemp("lifecycle") / "bundle")


def copy_with(bundle: Path, folder: Path, **changes: Any) -> Path:
    """The same bundle with other words in its manifest."""
    shutil.copytree(bundle, folder, symlinks=True)
    path = folder / "slipway.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def golden(probability: float) -> dict[str, Any]:
    row = {"name": "X", "datatype": "FP32", "shape": [1, 64], "data": [0.0] * 64}
    output = {"name": "probabilities", "datatype": "FP32", "shape": [1, 10], "data": [probability] * 10}
    return {"request": {"inputs": [row]}, "response": {"outputs": [output]}}


OTHER_INPUT = {"name": "Y", "datatype": "FP32", "shape": [-1, 64]}
OUTPUT = {"name": "label", "datatype": "INT64", "shape": [-1]}

FAILURES: list[tuple[dict[str, Any], str]] = [
    ({"sha256": "0" * 64}, "is not the one that was approved"),
    ({"file": "model/gone.onnx"}, "cannot be read: No such file"),
    ({"file": "../../etc/passwd"}, "outside the bundle"),
    ({"format": "rds"}, "the format 'rds' has no loader here; there is one for onnx"),
    ({"format": "xgboost"}, "the xgboost model model.onnx cannot be loaded"),
    ({"golden": golden(0.5)}, "the golden request is answered differently: output 'probabilities' differs by up to"),
    ({"golden": {"request": {"inputs": []}}}, "the golden request does not fit the signature"),
    ({"golden": golden(0.5) | {"response": {"outputs": [{}]}}}, "the golden response cannot be read: 'name'"),
    ({"signature": {"inputs": [OTHER_INPUT], "outputs": [OUTPUT]}}, "the signature's inputs are ['Y']"),
    ({"signature": {"inputs": [OTHER_INPUT | {"datatype": "BF16"}], "outputs": [OUTPUT]}}, "the datatype BF16"),
    ({"signature": None}, "is not a manifest"),
]


@pytest.mark.parametrize(("changes", "expected"), FAILURES)
def test_a_wrong_bundle_says_why_it_cannot_start(
    bundle: Path, tmp_path: Path, changes: dict[str, Any], expected: str
) -> None:
    ended = run_to_end(copy_with(bundle, tmp_path / "bundle", **changes))
    assert ended.returncode == 78
    assert ended.stderr.startswith("slipway-runtime: cannot start: ")
    assert expected in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert json.loads(ended.stdout.splitlines()[-1])["event"] == "cannot_start"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"SLIPWAY_BUNDLE": "/nonexistent"}, "slipway.json cannot be read"),
        ({"SLIPWAY_LISTEN": "nowhere"}, "it has to be host:port or fd:N"),
        ({"SLIPWAY_LISTEN": "fd:77"}, "not an open socket"),
        ({"SLIPWAY_MAX_BODY": "lots"}, "SLIPWAY_MAX_BODY is 'lots'"),
        ({"SLIPWAY_SECRET_FILE": "/nonexistent"}, "SLIPWAY_SECRET_FILE /nonexistent cannot be read"),
        ({"SLIPWAY_RELEASE": "a\nb"}, "SLIPWAY_RELEASE holds characters"),
    ],
)
def test_a_wrong_setting_is_named(bundle: Path, settings: dict[str, str], expected: str) -> None:
    ended = run_to_end(bundle, **settings)
    assert (ended.returncode, expected in ended.stderr) == (78, True), ended.stderr


def test_a_busy_port_may_be_free_later(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        ended = run_to_end(bundle, SLIPWAY_LISTEN=f"127.0.0.1:{sock.getsockname()[1]}")
    assert ended.returncode == 75
    assert "Address already in use" in ended.stderr


def test_outputs_that_are_maps_are_refused_with_the_way_out(tmp_path: Path) -> None:
    features, target = bundles.digits()
    model = to_onnx(LogisticRegression(max_iter=5, tol=0.5).fit(features, target), features[:1], target_opset=18)
    outputs: list[bundles.Row] = [("output_label", "INT64", [-1]), ("output_probability", "FP32", [-1, 10])]
    folder = bundles.write_bundle(tmp_path / "bundle", model.SerializeToString(), [bundles.DIGITS_INPUT], outputs)
    assert "convert the model without ZipMap" in run_to_end(folder).stderr


def test_the_right_golden_answer_lets_it_start(bundle: Path, tmp_path: Path) -> None:
    with start(bundle) as replica:
        right = replica.infer("digits", golden(0)["request"]).json()
    exact = {"request": golden(0)["request"], "response": right}
    with start(copy_with(bundle, tmp_path / "bundle", golden=exact)) as replica:
        assert replica.ask("GET", "/v2/health/ready").status == 200


def test_only_who_knows_the_secret_may_ask(bundle: Path, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    known = {"X-Slipway-Secret": SECRET}
    with start(bundle, SLIPWAY_SECRET_FILE=str(file)) as replica:
        assert replica.ask("GET", "/v2/health/live").status == 200
        for path in ("/v2/health/ready", "/v2", "/metrics", "/nowhere", "/slipway/identity?nonce=1"):
            assert replica.ask("GET", path).status == 401
            assert replica.ask("GET", path, headers={"X-Slipway-Secret": "guess"}).status == 401
        assert replica.ask("GET", "/v2/health/ready", headers=known).status == 200
        answer = replica.ask("GET", "/slipway/identity?nonce=abc", headers=known).json()
        assert replica.ask("GET", "/slipway/identity", headers=known).status == 400
        assert SECRET not in replica.log.read_text()
    subject = "sha256:" + "ab" * 32
    proof = hmac.new(SECRET.encode(), f"{subject}:abc".encode(), hashlib.sha256).hexdigest()
    assert answer == {"release": "r-7", "subject": subject, "proof": proof}


def test_metrics_count_what_happened(digits: Replica) -> None:
    before = _samples(digits)
    features, _ = bundles.digits()
    row = {"name": "X", "datatype": "FP32", "shape": [3, 64], "data": features[:3].ravel().tolist()}
    digits.infer("digits", {"inputs": [row]})
    digits.infer("digits", {"inputs": []})
    after = _samples(digits)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    labels = 'model="digits",version="3",release="r-7",replica="digits-0"'
    assert grown(f'slipway_requests_total{{{labels},route="infer",status="2xx"}}') == 1
    assert grown(f'slipway_requests_total{{{labels},route="infer",status="4xx"}}') == 1
    assert grown(f"slipway_batch_rows_sum{{{labels}}}") == 3
    assert grown(f"http_server_request_duration_seconds_count{{{labels}}}") == 2
    assert grown(f'http_server_request_duration_seconds_bucket{{{labels},le="+Inf"}}') == 2
    assert after[f"process_resident_memory_bytes{{{labels}}}"] > 10_000_000
    assert after[f"process_cpu_seconds_total{{{labels}}}"] > 0
    assert after[f"slipway_ready{{{labels}}}"] == 1


def _samples(replica: Replica) -> dict[str, float]:
    lines = replica.ask("GET", "/metrics").body.decode().splitlines()
    pattern = re.compile(r'^[a-z_]+\{([a-z]+="[^"]*",?)+\} \S+$')
    samples = [line for line in lines if not line.startswith("#")]
    assert all(pattern.match(line) for line in samples)
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in samples)}


@pytest.fixture
def heavy(tmp_path: Path) -> Path:
    return bundles.heavy_bundle(tmp_path / "heavy", 400)


def heavy_request(rows: int) -> bytes:
    row = {"name": "x0", "datatype": "FP32", "shape": [rows, 384], "data": np.ones(rows * 384).tolist()}
    body = json.dumps({"inputs": [row]}).encode()
    return b"POST /v2/models/heavy/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_draining_finishes_what_was_asked_and_then_leaves(heavy: Path) -> None:
    with start(heavy) as replica, replica.connect() as busy, replica.connect() as idle:
        idle.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        assert read_answer(idle).status == 200
        busy.sendall(heavy_request(200))
        until(lambda: b"in_flight" in _metrics_of(replica) and _in_flight(replica) == 1)
        replica.process.send_signal(signal.SIGTERM)
        until(lambda: any(event["event"] == "draining" for event in replica.events()))
        idle.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        last = read_answer(idle)
        assert last.status == 503
        assert last.headers["connection"] == "close"
        assert b"200 OK" in read_all(busy)
        assert replica.process.wait(20) == 0
        assert replica.events()[-1] == replica.events()[-1] | {"event": "drained", "cut": 0}


def _metrics_of(replica: Replica) -> bytes:
    return replica.ask("GET", "/metrics").body


def _in_flight(replica: Replica) -> int:
    return int(re.search(rb"slipway_requests_in_flight\{[^}]*\} (\d+)", _metrics_of(replica))[1])  # type: ignore[index]


def test_a_drain_that_takes_too_long_is_cut_short(heavy: Path) -> None:
    with start(heavy, SLIPWAY_DRAIN_SECONDS="0.2") as replica, replica.connect() as busy:
        busy.sendall(heavy_request(2000))
        until(lambda: _in_flight(replica) == 1)
        started = time.monotonic()
        assert replica.stop() == 0
        assert time.monotonic() - started < 5
        assert replica.events()[-1]["cut"] == 1


def test_it_listens_by_itself_and_stops_at_once_when_idle(bundle: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "slipway_runtime"],
        cwd=bundle,
        env=environment(bundle, SLIPWAY_LISTEN="127.0.0.1:0"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        listening = json.loads(process.stdout.readline())
        assert json.loads(process.stdout.readline())["event"] == "ready"
        host, port = listening["address"].split(":")
        with socket.create_connection((host, int(port)), timeout=10) as sock:
            sock.sendall(b"GET /v2/health/live HTTP/1.0\r\n\r\n")
            assert b'{"live":true}' in read_all(sock)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
