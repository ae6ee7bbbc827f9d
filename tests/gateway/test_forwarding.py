"""What passes through the gateway: headers by a list, bodies of any size, in little memory."""

import hashlib
import http.client
import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import tritonclient.http

from apps.gateway.tables import Replica, Route
from tests.gateway.conftest import INFER, Gateway, wait_until
from tests.gateway.replicas import Stage, answer_big, answer_with, compose, refuse_unread
from tests.runtime import bundles
from tests.runtime.replicas import start

MEGABYTE = 1 << 20
LARGE = 50 * MEGABYTE


def test_only_listed_headers_reach_a_replica(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    gateway.infer(
        endpoint,
        key,
        b"{}",
        Content_Type="application/json",
        Accept="application/json",
        Traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        Cookie="session=stolen",
        X_Forwarded_For="198.51.100.7",
        X_Forwarded_Host="evil",
        X_Slipway_Secret="guessed",
        X_Slipway_Token="guessed",
        X_Internal="1",
        TE="trailers",
        Keep_Alive="timeout=5",
        Proxy_Authorization="Basic eDp5",
    )

    asked = replica.asked[0]
    assert (asked.method, asked.path) == ("POST", INFER)
    assert sorted(asked.names) == [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "traceparent",
        "x-request-id",
        "x-slipway-secret",
    ]
    assert asked.headers["x-slipway-secret"] == replica.secret
    assert asked.headers["host"] == f"127.0.0.1:{replica.port}"
    assert key not in str(asked)


def test_only_listed_headers_come_back(gateway: Gateway, stage: Stage) -> None:
    lines = ("Set-Cookie: a=b", "Server: secret/1.0", "X-Powered-By: x", "Access-Control-Allow-Origin: *")
    kept = ("Content-Type: application/octet-stream", "Inference-Header-Content-Length: 7", "Retry-After: 3")
    replica = stage.add(answer_with(compose(200, b"1234567rest", *lines, *kept, "X-Slipway-Release: a lie")))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    answer = gateway.infer(endpoint, key)

    expected = {"content-length", "content-type", "date", "inference-header-content-length", "retry-after"}
    assert set(answer.headers) == expected | {"x-request-id", "x-slipway-release"}
    assert (answer.headers["inference-header-content-length"], answer.headers["retry-after"]) == ("7", "3")
    assert answer.headers["x-slipway-release"] == "release-1"
    assert answer.body == b"1234567rest"


@pytest.mark.parametrize("status", [200, 400, 404, 422, 429, 500, 501, 503])
def test_the_models_own_answers_pass_unchanged(gateway: Gateway, stage: Stage, status: int) -> None:
    replica = stage.add(answer_with(compose(status, b'{"error": "the model says so"}')))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()

    answer = gateway.infer(endpoint, key)

    assert (answer.status, answer.body) == (status, b'{"error": "the model says so"}')


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body_are_framed_right(gateway: Gateway, stage: Stage, status: int) -> None:
    replica = stage.add(answer_with(f"HTTP/1.1 {status} Nothing\r\n\r\n".encode()))
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica())
    gateway.publish()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=5)

    for _ in range(2):
        connection.request("GET", f"/demo/{endpoint}/v2", headers={"Authorization": f"Bearer {key}"})
        assert connection.getresponse().read() == b""
    connection.close()


def test_large_bodies_stream_in_both_directions_in_little_memory(gateway: Gateway, stage: Stage) -> None:
    sink, source, chunked = stage.add(), stage.add(answer_big(LARGE, False)), stage.add(answer_big(LARGE, True))
    key = gateway.make_key()
    up = gateway.make_endpoint(sink.as_replica(), max_body=LARGE, timeout_seconds=60.0)
    downs = [gateway.make_endpoint(replica.as_replica(), timeout_seconds=60.0) for replica in (source, chunked)]
    gateway.publish()
    body = hashlib.sha256(b"seed").digest() * (LARGE // 32)
    before = gateway.memory_peak()

    assert gateway.infer(up, key, body).status == 200
    assert (sink.asked[0].size, sink.asked[0].digest) == (LARGE, hashlib.sha256(body).hexdigest())
    for down in downs:
        assert len(gateway.infer(down, key).body) == LARGE

    assert gateway.memory_peak() - before < 12 * MEGABYTE


@pytest.mark.parametrize(
    "sizes", [[10], [0], [40_000, 40_000], [70_000] * 20], ids=["small", "empty", "medium", "large"]
)
def test_a_body_in_chunks_arrives_whole(gateway: Gateway, stage: Stage, sizes: list[int]) -> None:
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica(), max_body=2 * MEGABYTE)
    gateway.publish()

    def chunks() -> Iterator[bytes]:
        for number, size in enumerate(sizes):
            yield bytes([number]) * size

    answer = gateway.infer(endpoint, key, chunks())

    assert answer.status == 200
    assert replica.asked[0].size == sum(sizes)
    assert replica.asked[0].digest == hashlib.sha256(b"".join(chunks())).hexdigest()


def test_a_body_that_is_announced_as_too_large_is_refused_unread(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica(), max_body=1000)
    gateway.publish()
    head = f"POST /demo/{endpoint}{INFER} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\n"

    with socket.create_connection(("127.0.0.1", gateway.port), 5) as client:
        client.sendall(f"{head}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n".encode())
        answer = client.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"larger than the 1000 bytes" in answer
    assert replica.asked == []


def test_a_body_that_turns_out_too_large_is_cut(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add()
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica(), max_body=200_000)
    gateway.publish()

    answer = gateway.infer(endpoint, key, iter([bytes(50_000)] * 5))

    assert answer.status == 413
    wait_until(lambda: not replica.open)
    assert not any(asked.digest for asked in replica.asked)


def test_a_client_that_asks_first_is_told_to_go_on(gateway: Gateway, stage: Stage) -> None:
    key, endpoint = gateway.make_key(), gateway.make_endpoint(stage.add().as_replica())
    gateway.publish()
    head = f"POST /demo/{endpoint}{INFER} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer {key}\r\nContent-Length: 2\r\n"

    with socket.create_connection(("127.0.0.1", gateway.port), 5) as client:
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"{}")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_replica_may_answer_before_it_has_heard_everything(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add(refuse_unread, reads_body=False)
    key, endpoint = gateway.make_key(), gateway.make_endpoint(replica.as_replica(), max_body=LARGE)
    gateway.publish()

    for _ in range(2):
        answer = gateway.infer(endpoint, key, bytes(3 * MEGABYTE))
        assert (answer.status, answer.error) == (413, "too large for this model")
    assert [asked.path for asked in replica.asked] == [INFER] * 2
    assert replica.strange == []


def test_traffic_is_split_by_weight_and_a_request_id_always_goes_the_same_way(gateway: Gateway, stage: Stage) -> None:
    replica = stage.add().as_replica()
    routes = (
        Route("1", "stable", 80, (replica,)),
        Route("2", "canary", 20, (replica,)),
        Route("3", "none", 0, (replica,)),
    )
    key, endpoint = gateway.make_key(), gateway.make_endpoint(routes=routes)
    gateway.publish()

    seen = Counter(gateway.infer(endpoint, key).headers["x-slipway-release"] for _ in range(500))
    sticky = {gateway.infer(endpoint, key, X_Request_Id="order-66").headers["x-slipway-release"] for _ in range(20)}

    assert set(seen) == {"stable", "canary"}
    assert 60 <= seen["canary"] <= 145  # 100 expected, standard deviation 9
    assert len(sticky) == 1


def test_calls_are_spread_over_replicas(gateway: Gateway, stage: Stage) -> None:
    replicas = [stage.add() for _ in range(3)]
    key, endpoint = gateway.make_key(), gateway.make_endpoint(*(replica.as_replica() for replica in replicas))
    gateway.publish()

    for _ in range(30):
        gateway.infer(endpoint, key)

    assert [len(replica.asked) for replica in replicas] == [10, 10, 10]


@pytest.fixture(scope="module")
def split(shared_gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Key and name of an endpoint where real replicas of versions 3 and 12 share the traffic by 90 and 10."""
    with ExitStack() as stack:
        routes = []
        for version, weight in (("3", 90), ("12", 10)):
            bundle = tmp_path_factory.mktemp(f"version-{version}") / "bundle"
            port = stack.enter_context(start(bundles.logistic_bundle(bundle, version=version))).port
            replica = Replica(f"r{version}", "127.0.0.1", port, "")
            routes.append(Route(version, f"release-{version}", weight, (replica,), "digits", version))
        key, endpoint = shared_gateway.make_key(), shared_gateway.make_endpoint(routes=tuple(routes))
        shared_gateway.publish()
        yield key, endpoint


def test_under_a_split_a_call_that_names_a_version_always_gets_it(gateway: Gateway, split: tuple[str, str]) -> None:
    key, endpoint = split
    rows, _labels = bundles.digits()
    row = {"name": "X", "datatype": "FP32", "shape": [1, 64], "data": rows[0].tolist()}
    body = json.dumps({"inputs": [row]}).encode()

    for version in ("3", "12"):
        path = f"/demo/{endpoint}/v2/models/digits/versions/{version}"
        answers = [gateway.call("POST", f"{path}/infer", key, body) for _ in range(30)]
        assert {(answer.status, answer.json["model_version"]) for answer in answers} == {(200, version)}
        assert gateway.get(f"{path}/ready", key).json["ready"]

    plain = Counter(gateway.infer(endpoint, key, body).json["model_version"] for _ in range(200))
    assert plain["3"] > plain["12"] > 0


def test_a_version_that_is_not_routed_is_not_found(gateway: Gateway, split: tuple[str, str]) -> None:
    key, endpoint = split

    for path, method in (("digits/versions/4/infer", "POST"), ("other/versions/3", "GET")):
        answer = gateway.call(method, f"/demo/{endpoint}/v2/models/{path}", key)
        assert (answer.status, list(answer.json)) == (404, ["error"])
        assert answer.headers["x-slipway-release"] == "none"


def test_metadata_lists_all_versions_that_are_routed(gateway: Gateway, split: tuple[str, str]) -> None:
    key, endpoint = split

    for path in ("digits", "digits/versions/3", "digits/versions/12"):
        assert gateway.get(f"/demo/{endpoint}/v2/models/{path}", key).json["versions"] == ["3", "12"]


def test_loading_is_not_supported_and_says_so(gateway: Gateway, split: tuple[str, str]) -> None:
    key, endpoint = split

    for verb in ("load", "unload"):
        answer = gateway.call("POST", f"/demo/{endpoint}/v2/repository/models/digits/{verb}", key, b"{}")
        assert (answer.status, list(answer.json)) == (501, ["error"])
    assert gateway.get(f"/demo/{endpoint}/v2/models/digits/config", key).status == 404


def test_head_gets_the_head_of_what_get_gets(gateway: Gateway, split: tuple[str, str]) -> None:
    key, endpoint = split

    for path in (f"/demo/{endpoint}/v2/models/digits", f"/demo/{endpoint}/v2/health/ready", "/healthz"):
        whole, head = (gateway.call(method, path, key) for method in ("GET", "HEAD"))
        assert (head.status, head.body, whole.status) == (200, b"", 200)
        assert head.headers["content-length"] == str(len(whole.body))


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tritonclient_calls_the_real_runtime(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory, binary: bool
) -> None:
    bundle = bundles.logistic_bundle(tmp_path_factory.mktemp("bundle") / "bundle")
    secret = bundle / "secret"
    secret.write_text("what the gateway shows")
    samples, labels = bundles.digits()
    with start(bundle, wait=False, SLIPWAY_SECRET_FILE=str(secret)) as runtime:
        replica = Replica("r", "127.0.0.1", runtime.port, "what the gateway shows")
        key, endpoint = gateway.make_key(), gateway.make_endpoint(replica)
        gateway.publish()
        client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{gateway.port}/demo/{endpoint}")
        headers = {"Authorization": f"Bearer {key}"}
        wait_until(lambda: gateway.get(f"/demo/{endpoint}/v2/health/ready", key).status == 200)

        assert client.is_server_live(headers=headers)
        assert client.is_server_ready(headers=headers)
        assert client.is_model_ready("digits", headers=headers)
        about = client.get_model_metadata("digits", headers=headers)
        column = about["inputs"][0]
        given = tritonclient.http.InferInput(column["name"], [50, 64], column["datatype"])
        given.set_data_from_numpy(samples[:50].astype("float32"), binary_data=binary)
        wanted = [tritonclient.http.InferRequestedOutput(about["outputs"][0]["name"], binary_data=binary)]
        result = client.infer("digits", [given], outputs=wanted, headers=headers)
        client.close()

    found = result.as_numpy(about["outputs"][0]["name"]).reshape(-1)
    assert (found == labels[:50]).mean() > 0.9
