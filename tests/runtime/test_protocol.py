"""The Open Inference Protocol v2 over JSON: what it promises, and how it refuses."""

import json
from typing import Any

import pytest

from tests.runtime import bundles
from tests.runtime.replicas import Replica

FEATURES, TARGET = bundles.digits()
MODEL = "/v2/models/digits"


def ask_digits(**changes: Any) -> dict[str, Any]:
    """A valid request for one digit; ``changes`` go into its only input."""
    row = {"name": "X", "datatype": "FP32", "shape": [1, 64], "data": FEATURES[0].tolist(), **changes}
    return {"inputs": [row]}


def test_health_answers_with_both_words_that_clients_read(digits: Replica) -> None:
    assert digits.ask("GET", "/v2/health/live").json() == {"live": True}
    assert digits.ask("GET", "/v2/health/ready").json() == {"ready": True, "live": True}
    assert digits.ask("GET", f"{MODEL}/ready").json() == {"name": "digits", "ready": True}


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2?verbose=1"])
def test_server_metadata_declares_the_extensions(digits: Replica, path: str) -> None:
    answer = digits.ask("GET", path)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-slipway-release"] == "r-7"
    assert set(answer.json()) == {"name", "version", "extensions"}
    assert {"binary_tensor_data", "statistics"} <= set(answer.json()["extensions"])


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/3", "/v2/models/d%69gits"])
def test_model_metadata_is_the_stored_signature(digits: Replica, path: str) -> None:
    assert digits.ask("GET", path).json() == {
        "name": "digits",
        "versions": ["3"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "X", "datatype": "FP32", "shape": [-1, 64]}],
        "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [-1]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
        ],
        "parameters": {"labels": json.dumps([str(number) for number in range(10)], separators=(",", ":"))},
    }


@pytest.mark.parametrize("path", [MODEL, f"{MODEL}/versions/3"])
def test_predictions_are_right_and_the_id_comes_back(digits: Replica, path: str) -> None:
    rows = 200
    document = ask_digits(shape=[rows, 64], data=FEATURES[:rows].ravel().tolist()) | {"id": "abc-1"}
    answer = digits.ask("POST", f"{path}/infer", _dump(document)).json()
    assert answer["id"] == "abc-1"
    assert (answer["model_name"], answer["model_version"]) == ("digits", "3")
    label, probabilities = answer["outputs"]
    assert label["shape"] == [rows]
    assert probabilities["shape"] == [rows, 10]
    assert len(probabilities["data"]) == rows * 10
    hits = sum(got == expected for got, expected in zip(label["data"], TARGET, strict=False))
    assert hits >= 0.95 * rows


def test_nested_and_flat_data_mean_the_same(digits: Replica) -> None:
    flat = digits.infer("digits", ask_digits(shape=[2, 64], data=FEATURES[:2].ravel().tolist()))
    nested = digits.infer("digits", ask_digits(shape=[2, 64], data=FEATURES[:2].tolist()))
    assert flat.body == nested.body


def test_only_the_wanted_outputs_come_in_the_wanted_order(digits: Replica) -> None:
    wanted = {"outputs": [{"name": "probabilities"}, {"name": "label"}]}
    names = [row["name"] for row in digits.infer("digits", ask_digits() | wanted).json()["outputs"]]
    assert names == ["probabilities", "label"]
    single = digits.infer("digits", ask_digits() | {"outputs": [{"name": "label"}]}).json()["outputs"]
    assert [row["name"] for row in single] == ["label"]


def test_null_is_a_missing_value_in_both_directions(echo: Replica) -> None:
    outputs = echo.infer("echo", _echo_request(FP32=[None, 1.5])).json()["outputs"]
    assert _data(outputs, "FP32_out") == [None, 1.5]


def test_every_datatype_makes_the_round_trip_as_json(echo: Replica) -> None:
    values = {
        "BOOL": [True, False],
        "UINT64": [0, 2**64 - 1],
        "INT64": [-(2**63), 2**63 - 1],
        "INT8": [-128, 127],
        "UINT16": [0, 65535],
        "FP16": [0.5, -2.0],
        "FP32": [0.1, -3.5e38 / 1.1],
        "FP64": [0.1, 1e300],
        "BYTES": ["schön\0", ""],
    }
    outputs = echo.infer("echo", _echo_request(**values)).json()["outputs"]
    for name, data in values.items():
        assert _data(outputs, f"{name}_out") == pytest.approx(data, rel=1e-6) if "FP" in name else data


REFUSALS = [
    (b"{", "not valid JSON"),
    (b"", "not valid JSON"),
    (b"[1]", "JSON object"),
    (b'{"inputs": [NaN]}', "a missing value is null"),
    (b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}", "not valid JSON"),
    (b"\xff\xfe", "not valid JSON"),
    ({}, "no inputs"),
    ({"inputs": []}, "no inputs"),
    ({"inputs": {}}, "no inputs"),
    ({"inputs": [1]}, "has to be an object"),
    (ask_digits(name="Y"), "Input 'Y' is unknown, expected 'X'"),
    (ask_digits(name=["X"]), "is unknown"),
    ({"inputs": ask_digits()["inputs"] * 2}, "Input 'X' is given twice"),
    (ask_digits(datatype="FP64"), "Input 'X': got datatype 'FP64', expected 'FP32'"),
    (ask_digits(datatype=7), "got datatype 7"),
    (ask_digits(shape=[1, 63]), "Input 'X': got shape [1,63], expected [-1, 64]"),
    (ask_digits(shape=[64]), "got shape [64]"),
    (ask_digits(shape=[-1, 64]), "got shape [-1,64]"),
    (ask_digits(shape=[True, 64]), "got shape [true,64]"),
    (ask_digits(shape="1,64"), "got shape '1,64'"),
    (ask_digits(shape=[2**60, 64]), "got 64 elements"),
    (ask_digits(shape=[2, 64]), "Input 'X': got 64 elements, expected 128 for shape [2, 64]"),
    (ask_digits(data=[1.0]), "got 1 elements, expected 64"),
    (ask_digits(data="x"), "data has to be an array"),
    (ask_digits(data=None), "data has to be an array"),
    (ask_digits(data=["1.5"] * 64), "takes numbers, data holds strings"),
    (ask_digits(data=[True] * 64), "takes numbers, data holds booleans"),
    (ask_digits(data=[{}] * 64), "takes numbers, data holds objects"),
    (ask_digits(data=[1.0, True] * 32), "takes numbers, data holds booleans and numbers"),
    (ask_digits(data=["x" * 400_000] + [1] * 63), "data holds integers and strings"),
    (ask_digits(data=[[[1.0]] * 64]), "takes numbers, data holds arrays"),
    (ask_digits(data=[1e300] * 64), "does not fit FP32"),
    (ask_digits(data=[[1.0] * 32, [1.0] * 31]), "data is nested otherwise than its shape [1, 64] says"),
    (ask_digits(data=[[1.0] * 32, [1.0] * 32]), "data is nested otherwise than its shape [1, 64] says"),
    (ask_digits(parameters=[1]), "parameters has to be an object"),
    (ask_digits(parameters={"binary_data_size": -1}), "binary_data_size"),
    (ask_digits(parameters={"binary_data_size": 256}), "both data and binary_data_size"),
    (ask_digits() | {"id": 7}, "id has to be a string"),
    (ask_digits() | {"outputs": [{"name": "nope"}]}, "Output 'nope' is unknown, expected 'label', 'probabilities'"),
    (ask_digits() | {"outputs": [{"name": "label"}] * 2}, "asked for twice"),
    (ask_digits() | {"outputs": 3}, "outputs has to be an array"),
    (ask_digits() | {"parameters": 3}, "parameters has to be an object"),
]


@pytest.mark.parametrize(("document", "expected"), REFUSALS)
def test_a_refusal_names_what_was_got_and_expected(digits: Replica, document: Any, expected: str) -> None:
    body = document if isinstance(document, bytes) else _dump(document)
    answer = digits.ask("POST", f"{MODEL}/infer", body)
    assert answer.status == 400
    assert list(answer.json()) == ["error"]
    assert expected in answer.json()["error"]
    assert "Traceback" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"INT8": [1.5, 2]}, "Input 'INT8': datatype INT8 takes integers, data holds integers and numbers"),
        ({"INT8": [300, 1]}, "Input 'INT8': a value does not fit INT8"),
        ({"UINT8": [-1, 1]}, "a value does not fit UINT8"),
        ({"INT64": [None, 1]}, "takes integers"),
        ({"INT64": [2**64, 1]}, "takes integers"),
        ({"BOOL": [1, 0]}, "takes booleans, data holds integers"),
        ({"BYTES": [1, 2]}, "takes strings, data holds integers"),
        ({"FP16": [70000.0, 1.0]}, "does not fit FP16"),
    ],
)
def test_values_that_do_not_fit_are_refused_not_bent(echo: Replica, changes: dict[str, Any], expected: str) -> None:
    answer = echo.infer("echo", _echo_request(**changes))
    assert answer.status == 400
    assert expected in answer.json()["error"]


def test_a_missing_input_is_named(echo: Replica) -> None:
    document = _echo_request()
    document["inputs"] = [row for row in document["inputs"] if row["name"] != "BOOL"]
    assert echo.infer("echo", document).json() == {"error": "Input 'BOOL' is missing"}


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/v2/models/other", 404, "this server has the model 'digits' in version '3'"),
        ("POST", f"{MODEL}/versions/4/infer", 404, "in version '3'"),
        ("GET", f"{MODEL}/nonsense", 404, "digits"),
        ("GET", "/v2/unknown", 404, "nothing at this address"),
        ("GET", "/", 404, "nothing at this address"),
        ("GET", f"{MODEL}/infer", 405, "takes POST, got GET"),
        ("DELETE", "/v2", 405, "takes GET, HEAD, got DELETE"),
        ("POST", "/v2/repository/models/digits/unload", 501, "neither loaded nor unloaded"),
        ("GET", "/slipway/identity?nonce=1", 501, "without a secret"),
    ],
)
def test_wrong_addresses_are_explained(digits: Replica, method: str, path: str, status: int, expected: str) -> None:
    answer = digits.ask(method, path)
    assert answer.status == status
    assert expected in answer.json()["error"]
    assert answer.headers["x-slipway-release"] == "r-7"


def test_unsupported_extensions_are_refused_rather_than_ignored(digits: Replica) -> None:
    wanted = {"outputs": [{"name": "label", "parameters": {"classification": 3}}]}
    answer = digits.infer("digits", ask_digits() | wanted)
    assert answer.status == 501
    assert answer.json()["error"] == "Output 'label': the parameter classification is not supported here"


def test_the_index_lists_the_one_model(digits: Replica) -> None:
    assert digits.ask("POST", "/v2/repository/index", b"{}").json() == [
        {"name": "digits", "version": "3", "state": "READY", "reason": ""}
    ]


def _dump(document: Any) -> bytes:
    return json.dumps(document).encode()


def _echo_request(**changes: list[Any]) -> dict[str, Any]:
    rows = []
    for name in bundles.ECHO_TYPES:
        blank: list[Any] = {"BOOL": [True, False], "BYTES": ["a", "b"]}.get(name, [0, 1])
        rows.append({"name": name, "datatype": name, "shape": [1, 2], "data": changes.get(name, blank)})
    return {"inputs": rows}


def _data(outputs: list[dict[str, Any]], name: str) -> Any:
    return next(row["data"] for row in outputs if row["name"] == name)
