"""Collecting from a gateway over HTTP, and from a target's driver: nothing lost, nothing counted twice."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from apps.accounts import services as accounts
from apps.deployments.models import Deployment
from apps.gateway.metering import Books, encode_window
from apps.monitoring.intake import is_gateway_heard, store_windows
from apps.monitoring.models import Sample, Window
from apps.monitoring.spans import floor
from apps.targets.models import Target
from tests.cast import Cast
from tests.monitoring.traffic import serving
from worker.drivers.fake import WORLD, FakeTarget
from worker.errors import ToolError
from worker.specs import ReplicaStatus
from worker.tasks.collect import Sampler, collect_gateway, each_gateway, sample_replicas


class Gateway:
    """A gateway's books behind a real HTTP server of our own, with a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_777_636_800.0
        self.books = Books("gateway-1", 10, 900, clock=lambda: self.now)
        self.asked: list[int] = []
        self.keys: dict[str, float] = {}
        self.tokens: set[str | None] = set()
        self.address = ""

    def serve(self, deployment: Deployment, calls: int) -> None:
        """So many calls of 5 ms each in one window, which then closes."""
        meter = self.books.meter("digits-team", deployment.endpoint.name, str(deployment.pk))
        for _ in range(calls):
            meter.begin()
            meter.count(200, 0.005, 300, 180)
            meter.end()
        self.now += 10
        self.books.keep(map(encode_window, self.books.close_windows()))


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    cache.clear()
    made = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            after = int(parse_qs(urlsplit(self.path).query)["after"][0])
            made.asked.append(after)
            made.tokens.add(self.headers.get("X-Slipway-Token"))
            body = json.dumps({**made.books.collect(after), "keys": made.keys}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.address = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


def test_closed_windows_are_stored_once_however_often_they_are_fetched(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    gateway.serve(deployment, 40)
    gateway.serve(deployment, 2)
    assert collect_gateway(gateway.address) == 2
    assert collect_gateway(gateway.address) == 0
    assert [row.requests for row in Window.objects.order_by("start")] == [40, 2]
    assert gateway.tokens == {settings.SLIPWAY_INTERNAL_TOKEN}
    assert is_gateway_heard()


def test_a_name_that_stands_for_several_gateways_is_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 8080)) for host in ("10.0.0.7", "10.0.0.5", "10.0.0.7")]
    monkeypatch.setattr("worker.tasks.collect.socket.getaddrinfo", lambda *_: found)
    assert each_gateway("http://gateway:8080") == ["http://10.0.0.5:8080", "http://10.0.0.7:8080"]
    assert each_gateway("https://gateway.example.com") == ["https://gateway.example.com"]


def test_a_name_that_nobody_has_yet_is_left_out() -> None:
    assert each_gateway("http://nobody.invalid:8080") == []


def test_the_last_use_of_a_key_at_a_gateway_is_remembered_to_the_minute(cast: Cast, gateway: Gateway) -> None:
    key = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="Shop", scopes=["invoke:*"]).key
    for at, expected in (
        (1_777_000_000.0, 1_777_000_000.0),
        (1_777_000_030.0, 1_777_000_000.0),
        (1_777_000_090.0,) * 2,
    ):
        gateway.keys = {key.key_id: at, "unknown": at}
        collect_gateway(gateway.address)
        key.refresh_from_db()
        assert key.last_used_at
        assert key.last_used_at.timestamp() == expected


def test_a_forgotten_place_in_the_sequence_counts_nothing_twice(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    gateway.serve(deployment, 40)
    kept = gateway.books.collect(0)["windows"]
    collect_gateway(gateway.address)
    cache.clear()
    store_windows("gateway-1", kept)
    assert Window.objects.get().requests == 40


def test_what_is_not_stored_yet_is_asked_for_again(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    gateway.serve(deployment, 1)
    gateway.books.collect(0)  # an answer that got lost on its way
    assert collect_gateway(gateway.address) == 1


def test_many_windows_come_in_several_answers(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    for _ in range(85):
        gateway.serve(deployment, 1)
    gateway.books._closed.extend(  # as if it had been deaf to us for long
        {**gateway.books._closed[-1], "seq": gateway.books._closed[-1]["seq"] + 1 + n, "start": gateway.now + 10 * n}
        for n in range(500)
    )
    assert collect_gateway(gateway.address) == 585
    assert len(gateway.asked) == 2


def test_an_unknown_endpoint_or_a_damaged_window_is_dropped_and_the_rest_stored(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    gateway.serve(deployment, 3)
    good = gateway.books.collect(0)["windows"][0]
    stranger, broken = {**good, "endpoint": "elsewhere"}, {**good, "start": good["start"] + 10, "histogram": "HISTF!"}
    foreign = {**good, "start": good["start"] + 20, "deployment": "99999"}
    assert store_windows("gateway-1", [stranger, broken, foreign, good]) == 1
    assert Window.objects.get().requests == 3


def test_calls_that_reached_no_deployment_are_kept_with_the_endpoint(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    gateway.books.meter("digits-team", "digits", "").count_refused(503)
    gateway.serve(deployment, 0)
    collect_gateway(gateway.address)
    assert Window.objects.get(deployment=None).counts == {"5xx": 1}


def test_a_window_that_opened_a_moment_early_starts_with_its_step(cast: Cast, gateway: Gateway) -> None:
    deployment = serving(cast, live_at=timezone.now())
    gateway.now -= 0.02
    gateway.books = Books("gateway-1", 10, 900, clock=lambda: gateway.now)
    gateway.serve(deployment, 1)
    collect_gateway(gateway.address)
    start = Window.objects.get().start
    assert start == floor(start, 10)


def test_a_batch_costs_three_queries(cast: Cast, gateway: Gateway, django_assert_max_num_queries: Callable) -> None:
    deployment = serving(cast, live_at=timezone.now())
    for _ in range(50):
        gateway.serve(deployment, 1)
    windows = gateway.books.collect(0)["windows"]
    with django_assert_max_num_queries(5):  # three, and the savepoint around the insert
        store_windows("gateway-1", windows)
    assert Window.objects.count() == 50


def test_a_gateway_that_does_not_answer_is_no_disaster(db: None) -> None:
    cache.clear()
    assert collect_gateway("http://127.0.0.1:9") == 0
    assert not is_gateway_heard()


@pytest.fixture
def fake_target(cast: Cast, tmp_path: Path) -> Iterator[tuple[Deployment, FakeTarget]]:
    """A deployment of one replica on a fake target."""
    deployment = serving(cast, live_at=timezone.now(), replicas=1)
    target = Target.objects.create(name="stage", kind="fake")
    Deployment.objects.filter(pk=deployment.pk).update(target=target)
    replica = deployment.replica_set.get()
    WORLD["stage"] = FakeTarget()
    WORLD["stage"].replicas[replica.name] = ReplicaStatus(replica.name, "running", "127.0.0.1:1")
    yield deployment, WORLD["stage"]
    del WORLD["stage"]


def test_a_share_of_a_core_needs_two_readings() -> None:
    sampler = Sampler()
    assert sampler.share("r", 10.0, 100.0) is None
    assert sampler.share("r", 12.5, 110.0) == 0.25
    assert sampler.share("r", 0.1, 120.0) is None  # it was started again
    assert sampler.share("r", 1.1, 130.0) == pytest.approx(0.1)


def test_replicas_are_sampled_through_their_driver(fake_target: tuple[Deployment, FakeTarget]) -> None:
    sampler = Sampler()
    sample_replicas(sampler, 0.0)
    assert not Sample.objects.exists()
    sample_replicas(sampler, 10.0)
    sample = Sample.objects.get()
    assert sample.deployment == fake_target[0]
    assert sample.memory_bytes > 0


def test_a_target_that_does_not_answer_leaves_a_gap(fake_target: tuple[Deployment, FakeTarget]) -> None:
    sampler = Sampler()
    fake_target[1].unreachable = ToolError("The host is away.")
    sample_replicas(sampler, 0.0)
    sample_replicas(sampler, 10.0)
    assert not Sample.objects.exists()
