"""Programs at the gateway: the protocol's own client, and everything that is refused."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from tritonclient import http as triton

from tests.journeys import deadlines, steps
from tests.journeys.calls import Answer, call, mistype, wait_until
from tests.journeys.stack import Stack
from tests.journeys.visitors import Visitor


@pytest.fixture(scope="module")
def address(slipway: Stack, live: str) -> str:
    return f"{slipway.gateway}/{steps.PROJECT}/digits"


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address.removeprefix("http://")) as made:
        yield made


@pytest.mark.parametrize("is_binary", [True, False])
def test_tritonclient_predicts_digits_through_the_gateway(
    client: Any, invoke_key: str, files: Path, is_binary: bool
) -> None:
    headers = {"Authorization": f"Bearer {invoke_key}"}
    wait_until(lambda: call_ready(client, headers), deadlines.REVOKED, what="the new key to be taken")
    assert client.is_server_live(headers)
    assert client.is_model_ready("digits", headers=headers)
    metadata = client.get_model_metadata("digits", headers=headers)
    assert [tensor["name"] for tensor in metadata["inputs"]] == ["input"]
    known = json.loads((files / "digits.json").read_text())
    tensor = triton.InferInput("input", [100, 64], "FP32")
    tensor.set_data_from_numpy(np.float32(known["rows"]), binary_data=is_binary)
    wanted = [triton.InferRequestedOutput("label", binary_data=is_binary)]
    labels = client.infer("digits", [tensor], outputs=wanted, headers=headers).as_numpy("label")
    assert np.mean(labels == known["labels"]) > 0.95


def call_ready(client: Any, headers: dict[str, str]) -> bool:
    return bool(client.is_server_ready(headers))


def test_answer_names_its_request_and_its_release(address: str, invoke_key: str) -> None:
    answer = call(f"{address}/v2/health/ready", key=invoke_key, headers={"X-Request-Id": "quay-7"})
    assert answer.status == 200
    assert answer.headers["x-request-id"] == "quay-7"
    assert int(answer.headers["x-slipway-release"]) > 0


def test_key_for_another_endpoint_is_forbidden(ada: Visitor, address: str) -> None:
    other = steps.make_key(ada, "Another endpoint", endpoints="cancer")
    wait_until(lambda: call(f"{address}/v2", key=other).status != 401, deadlines.REVOKED, what="the key to be taken")
    assert_refused(call(f"{address}/v2", key=other), 403)


def test_missing_and_wrong_keys_are_unauthorized_and_unknown_addresses_not_found(
    address: str, slipway: Stack, invoke_key: str
) -> None:
    assert_refused(call(f"{address}/v2"), 401)
    assert_refused(call(f"{address}/v2", key=mistype(invoke_key)), 401)
    assert_refused(call(f"{slipway.gateway}/{steps.PROJECT}/nowhere/v2", key=invoke_key), 404)
    assert_refused(call(f"{slipway.gateway}/elsewhere/digits/v2", key=invoke_key), 404)
    assert_refused(call(f"{address}/v2/models/nothing/infer", key=invoke_key, body={"inputs": []}), 404)


@pytest.mark.parametrize("body", [b"{", b'{"inputs": 7}', b'{"inputs": [{"name": "input"}]}'])
def test_body_that_is_no_inference_request_is_malformed(address: str, invoke_key: str, body: bytes) -> None:
    assert_refused(call(f"{address}/v2/models/digits/infer", key=invoke_key, body=body), 400)


def test_request_that_is_no_http_is_answered_with_400(slipway: Stack) -> None:
    place = urlsplit(slipway.gateway)
    with socket.create_connection((place.hostname, place.port), timeout=deadlines.PAGE) as connection:
        connection.sendall(b"INFER digits PLEASE\r\n\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":' in answer


def test_body_larger_than_the_endpoint_takes_is_refused(address: str, invoke_key: str) -> None:
    answer = call(f"{address}/v2/models/digits/infer", key=invoke_key, body=bytes(11 << 20))
    assert_refused(answer, 413)


def assert_refused(answer: Answer, status: int) -> None:
    """The protocol's error object, and an id to ask the operators about."""
    assert answer.status == status, answer.content
    assert answer.json.keys() == {"error"}
    assert answer.headers["x-request-id"]
