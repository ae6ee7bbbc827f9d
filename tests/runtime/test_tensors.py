"""Binary tensors, through the client that most people have: tritonclient, whose default they are."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tests.runtime import bundles
from tests.runtime.replicas import Replica, start

FEATURES, TARGET = bundles.digits()

VALUES = {
    "BOOL": np.array([[True, False]]),
    "UINT8": np.array([[0, 255]], np.uint8),
    "UINT16": np.array([[0, 65535]], np.uint16),
    "UINT32": np.array([[0, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 127]], np.int8),
    "INT16": np.array([[-(2**15), 1]], np.int16),
    "INT32": np.array([[-(2**31), 1]], np.int32),
    "INT64": np.array([[-(2**63), 1]], np.int64),
    "FP16": np.array([[0.1, np.inf]], np.float16),
    "FP32": np.array([[0.1, np.nan]], np.float32),
    "FP64": np.array([[0.1, -np.inf]], np.float64),
    "BYTES": np.array([["schön", ""]], np.object_),
}


@pytest.fixture
def client(digits: Replica) -> Iterator[Any]:
    with triton.InferenceServerClient(digits.address) as client:
        yield client


def tensor(name: str, values: np.ndarray, datatype: str, binary: bool = True) -> Any:
    row = triton.InferInput(name, list(values.shape), datatype)
    row.set_data_from_numpy(values, binary_data=binary)
    return row


def test_tritonclient_finds_everything_that_it_asks_for(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "3")
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "slipway-runtime"
    assert client.get_model_metadata("digits")["inputs"][0]["shape"] == [-1, 64]
    assert client.get_model_repository_index()[0]["state"] == "READY"
    assert client.get_inference_statistics("digits")["model_stats"][0]["name"] == "digits"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tritonclient_predicts_in_every_mixture_of_json_and_bytes(
    client: Any, binary_in: bool, binary_out: bool
) -> None:
    rows = FEATURES[:5]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in ("probabilities", "label")]
    result = client.infer("digits", [tensor("X", rows, "FP32", binary_in)], outputs=wanted, request_id="r1")
    assert result.as_numpy("label").tolist() == TARGET[:5].tolist()
    assert result.as_numpy("probabilities").sum(axis=1) == pytest.approx(np.ones(5), abs=1e-5)
    assert result.get_response()["id"] == "r1"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_tritonclient_compresses_both_ways(client: Any, coding: str) -> None:
    rows = [tensor("X", FEATURES[:40], "FP32")]
    plain = client.infer("digits", rows)
    packed = client.infer("digits", rows, request_compression_algorithm=coding, response_compression_algorithm=coding)
    np.testing.assert_array_equal(packed.as_numpy("probabilities"), plain.as_numpy("probabilities"))


def test_tritonclient_reads_our_errors(client: Any) -> None:
    with pytest.raises(InferenceServerException, match=r"expected \[-1, 64\]"):
        client.infer("digits", [tensor("X", FEATURES[:1, :63], "FP32")])


def test_every_datatype_makes_the_round_trip_as_bytes(echo: Replica) -> None:
    with triton.InferenceServerClient(echo.address) as client:
        result = client.infer("echo", [tensor(name, values, name) for name, values in VALUES.items()])
        for name, values in VALUES.items():
            got = result.as_numpy(f"{name}_out")
            if name == "BYTES":
                assert [piece.decode() for piece in got.flat] == values.flatten().tolist()
            else:
                assert got.dtype == values.dtype
                np.testing.assert_array_equal(got, values)


def binary_request(size: Any, raw: bytes, *, shape: tuple[int, ...] = (1, 64)) -> tuple[bytes, dict[str, str]]:
    row = {"name": "X", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [row]}).encode()
    return text + raw, {"Inference-Header-Content-Length": str(len(text))}


@pytest.mark.parametrize(
    ("size", "raw", "expected"),
    [
        (256, b"a" * 255, "declares 256 bytes of binary data, got 255"),
        (256, b"a" * 257, "declare 256 bytes of binary data, got 257"),
        (252, b"a" * 252, "got 252 bytes of binary data, expected 256"),
        ("256", b"a" * 256, "has to be a number of bytes"),
        (-4, b"", "has to be a number of bytes"),
    ],
)
def test_binary_sizes_have_to_agree(digits: Replica, size: Any, raw: bytes, expected: str) -> None:
    answer = digits.ask("POST", "/v2/models/digits/infer", *binary_request(size, raw))
    assert answer.status == 400
    assert expected in answer.json()["error"]


@pytest.mark.parametrize("value", ["", "-1", "abc", "99999999", "1e3", "9" * 40])
def test_a_wrong_header_length_is_refused(digits: Replica, value: str) -> None:
    body, _ = binary_request(256, FEATURES[0].tobytes())
    answer = digits.ask("POST", "/v2/models/digits/infer", body, {"Inference-Header-Content-Length": value})
    assert answer.status == 400


@pytest.mark.parametrize("raw", [b"\x05\0\0\0abc", b"\x01\0\0", b"\x02\0\0\0\xff\xfe\0\0\0\0", b"\xff\xff\xff\xff"])
def test_damaged_binary_strings_are_refused(echo: Replica, raw: bytes) -> None:
    rows = [
        {"name": name, "datatype": name, "shape": [1, 2], "data": [True, False] if name == "BOOL" else [0, 1]}
        for name in bundles.ECHO_TYPES
        if name != "BYTES"
    ]
    rows.append({"name": "BYTES", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": len(raw)}})
    text = json.dumps({"inputs": rows}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    answer = echo.ask("POST", "/v2/models/echo/infer", text + raw, headers)
    assert answer.status == 400
    assert "Input 'BYTES'" in answer.json()["error"]


def test_a_large_image_batch_goes_through_as_bytes(tmp_path: Path) -> None:
    images = np.random.default_rng(1).normal(size=(8, 3, 32, 32)).astype(np.float32)
    with (
        start(bundles.conv_bundle(tmp_path / "bundle")) as replica,
        triton.InferenceServerClient(replica.address) as client,
    ):
        joined = client.infer("conv", [tensor("image", images, "FP32")]).as_numpy("features")
        single = client.infer("conv", [tensor("image", images[3:4], "FP32")]).as_numpy("features")
    assert joined.shape == (8, 4, 4, 4)
    np.testing.assert_allclose(joined[3:4], single, rtol=1e-4, atol=1e-4)
