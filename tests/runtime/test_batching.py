"""Requests that are joined answer as if each had come alone."""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime import bundles
from tests.runtime.replicas import Answer, Replica, read_answer, start

HEAVY_ROUNDS = 800  # many milliseconds for a row, on any machine: too dear for the event loop


def post(replica: Replica, model: str, datatype: str, name: str, rows: np.ndarray, identity: str) -> bytes:
    row = {"name": name, "datatype": datatype, "shape": list(rows.shape), "data": rows.ravel().tolist()}
    body = json.dumps({"id": identity, "inputs": [row]}).encode()
    return b"POST /v2/models/%s/infer HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
        model.encode(),
        len(body),
        body,
    )


def ask_together(replica: Replica, requests: Sequence[bytes], connections: int = 8) -> list[Answer]:
    """Send all requests at once over a few connections; answers in the order of the requests."""
    socks = [replica.connect() for _ in range(connections)]
    try:
        for number, sock in enumerate(socks):
            sock.sendall(b"".join(requests[number::connections]))
        answers: list[Any] = [None] * len(requests)
        for number, sock in enumerate(socks):
            for at in range(number, len(requests), connections):
                answers[at] = read_in_turn(sock)
        return answers
    finally:
        for sock in socks:
            sock.close()


def read_in_turn(sock: socket.socket) -> Answer:
    """One answer and not a byte more, so that the next one stays in the socket."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        assert piece, "the connection ended early"
        head += piece
    size = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
    body = b""
    while len(body) < size:
        body += sock.recv(size - len(body))
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, body)


def sample(replica: Replica, name: str) -> float:
    text = replica.ask("GET", "/metrics").body.decode()
    return float(re.search(rf"^{name}{{[^}}]*}} (\S+)$", text, re.MULTILINE)[1])  # type: ignore[index]


def ready_event(replica: Replica) -> dict[str, Any]:
    return next(event for event in replica.events() if event["event"] == "ready")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    bundle = bundles.heavy_bundle(tmp_path_factory.mktemp("heavy") / "bundle", HEAVY_ROUNDS)
    with start(bundle) as replica:
        yield replica


def test_a_cheap_model_runs_inline_and_joins_what_arrives_together(digits: Replica) -> None:
    features, _ = bundles.digits()
    assert ready_event(digits)["inline"]
    runs, rows = sample(digits, "slipway_batch_rows_count"), sample(digits, "slipway_batch_rows_sum")
    requests = [post(digits, "digits", "FP32", "X", features[n : n + 1 + n % 3], f"n{n}") for n in range(160)]
    together = ask_together(digits, requests)
    joined_runs = sample(digits, "slipway_batch_rows_count") - runs
    assert sample(digits, "slipway_batch_rows_sum") - rows == sum(1 + n % 3 for n in range(160))
    assert joined_runs < 100
    for number, answer in enumerate(together):
        alone = ask_together(digits, [requests[number]], 1)[0] if number % 10 == 0 else answer
        assert answer.json()["id"] == f"n{number}"
        assert answer.json()["outputs"][0] == alone.json()["outputs"][0]
        expected = alone.json()["outputs"][1]["data"]
        assert answer.json()["outputs"][1]["data"] == pytest.approx(expected, abs=1e-5)


def test_a_dear_model_runs_in_the_thread_and_joins_what_waited(heavy: Replica) -> None:
    assert not ready_event(heavy)["inline"]
    chance = np.random.default_rng(0)
    rows = chance.normal(size=(40, 384)).astype(np.float32)
    requests = [post(heavy, "heavy", "FP32", "x0", rows[n : n + 1], f"n{n}") for n in range(40)]
    answers = ask_together(heavy, requests, 4)
    assert sample(heavy, "slipway_batch_rows_count") < 20
    expected = rows @ np.linalg.matrix_power(_matrix().astype(np.float64), HEAVY_ROUNDS)
    for number, answer in enumerate(answers):
        assert answer.json()["id"] == f"n{number}"
        np.testing.assert_allclose(answer.json()["outputs"][0]["data"], expected[number], rtol=1e-3, atol=1e-3)


def test_health_is_answered_while_a_dear_model_runs(heavy: Replica) -> None:
    rows = np.ones((400, 384), np.float32)
    with heavy.connect() as sock:
        sock.sendall(post(heavy, "heavy", "FP32", "x0", rows, "big"))
        assert heavy.ask("GET", "/v2/health/live").status == 200
        assert read_answer(sock).json()["id"] == "big"


def test_too_many_waiting_requests_are_turned_away(tmp_path: Path) -> None:
    batching = {"max_size": 1, "max_queue": 3}
    with start(bundles.heavy_bundle(tmp_path / "bundle", HEAVY_ROUNDS, batching=batching)) as replica:
        request = post(replica, "heavy", "FP32", "x0", np.ones((1, 384), np.float32), "n")
        answers = ask_together(replica, [request] * 40, 8)
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 503}
        refused = answers[statuses.index(503)]
        assert refused.headers["retry-after"] == "1"
        assert "waiting already" in refused.json()["error"]
        assert ask_together(replica, [request], 1)[0].status == 200
        assert sample(replica, "slipway_requests_in_flight") == 0


def test_a_delay_waits_for_company_but_not_for_ever(tmp_path: Path) -> None:
    batching = {"max_size": 4, "max_delay_ms": 200}
    with start(bundles.heavy_bundle(tmp_path / "bundle", HEAVY_ROUNDS, batching=batching)) as replica:
        request = post(replica, "heavy", "FP32", "x0", np.ones((1, 384), np.float32), "n")
        assert ask_together(replica, [request], 1)[0].status == 200
        before = sample(replica, "slipway_batch_rows_count")
        ask_together(replica, [request] * 8, 8)
        assert sample(replica, "slipway_batch_rows_count") - before == 2


def test_one_bad_request_does_not_spoil_its_neighbours(tmp_path: Path) -> None:
    with start(bundles.picky_bundle(tmp_path / "bundle")) as replica:
        rows = [5, 99, 1, -77, 9, 0]
        requests = [post(replica, "picky", "INT64", "row", np.array([row]), str(row)) for row in rows]
        answers = ask_together(replica, requests, 1)
    assert [answer.status for answer in answers] == [200, 400, 200, 400, 200, 200]
    assert answers[0].json()["outputs"][0]["data"] == [10.0, 11.0]
    assert answers[4].json()["outputs"][0]["data"] == [18.0, 19.0]
    assert "refused the input" in answers[1].json()["error"]
    assert "\n" not in answers[1].json()["error"]


def test_a_model_that_looks_across_rows_is_never_joined(tmp_path: Path) -> None:
    with start(bundles.centre_bundle(tmp_path / "bundle")) as replica:
        assert not ready_event(replica)["joins_rows"]
        rows = np.array([[1.0, 2.0]], np.float32)
        requests = [post(replica, "centre", "FP32", "x", rows * n, str(n)) for n in range(20)]
        for answer in ask_together(replica, requests, 1):
            assert answer.json()["outputs"][0]["data"] == [0.0, 0.0]


def _matrix() -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(0).normal(size=(384, 384)))[0].astype(np.float32)
