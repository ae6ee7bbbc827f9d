"""Before a replica gets traffic it is asked its golden sample; one that answers differently never gets any."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from django.test import Client
from django.urls import reverse

from apps.deployments import services as deployments
from apps.deployments.golden import compare_answer
from apps.deployments.models import Deployment, Route
from apps.deployments.timeline import timeline
from apps.releases.models import Release
from tests import world
from tests.cast import Cast
from tests.deployments.conftest import Look
from worker.drivers.fake import FakeDriver, FakeTarget

GOLDEN = {
    "request": {"inputs": [{"name": "input", "datatype": "FP32", "shape": [1, 1], "data": [1]}]},
    "response": {"outputs": [{"name": "score", "datatype": "FP32", "shape": [1], "data": [0.5]}]},
}


class Answering(HTTPServer):
    """A server that says the same to every inference request."""

    score: float | None = 0.5


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        outputs = [{"name": "score", "datatype": "FP32", "shape": [1], "data": [self.server.score]}]
        body = json.dumps({"outputs": outputs}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    """All fake replicas answer at this one address."""
    real = FakeDriver.list_owned
    with Answering(("127.0.0.1", 0), _Handler) as server:
        address = f"127.0.0.1:{server.server_port}"
        monkeypatch.setattr(
            FakeDriver, "list_owned", lambda *them: [replace(seen, address=address) for seen in real(*them)]
        )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def started(cast: Cast, built: Callable[[], Release], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(world, "ready_version", partial(world.ready_version, golden=GOLDEN))
    return deployments.start_release(actor=cast.actor("omar"), release=built())


def test_the_timeline_shows_the_golden_sample_before_the_traffic_moves(
    answering: Answering, started: Deployment, look: Look
) -> None:
    answering.score = 0.50001
    look(started, times=3)
    assert started.phase == "running"
    lines = [line for line in timeline(None, started) if line.name in ("golden", "route")]
    assert [line.name for line in lines] == ["golden", "route"]
    assert (lines[0].detail or {})["params"] == {"index": 0, "worst": "1e-05", "output": "score"}


def test_a_replica_that_answers_differently_ends_the_deployment(
    answering: Answering, started: Deployment, look: Look, target: FakeTarget
) -> None:
    answering.score = 0.75
    look(started, times=3)
    assert (started.phase, started.failure_kind) == ("failed", "golden_mismatch")
    assert "up to 0.25" in (started.failure or {})["params"]["how"]
    assert not Route.objects.exists()
    look(started, times=2)
    assert not target.replicas


def test_a_live_deployment_takes_no_restarted_replica_that_answers_differently(
    answering: Answering, started: Deployment, look: Look, target: FakeTarget
) -> None:
    look(started, times=3)
    assert started.phase == "running"
    answering.score = None
    target.replicas.clear()
    look(started, times=3)
    replica = started.replica_set.get()
    assert (started.phase, replica.failure_kind) == ("degraded", "golden_mismatch")
    answering.score = 0.5
    look(started, after=70, times=3)
    assert started.phase == "running"


def test_the_page_of_a_version_runs_its_golden_sample_where_it_runs(
    cast: Cast, answering: Answering, started: Deployment, look: Look
) -> None:
    look(started, times=3)
    version = started.release.version
    client = Client()
    client.force_login(cast.user("dana"), backend="allauth.account.auth_backends.AuthenticationBackend")
    place = [cast.project.slug, version.model.name, version.number]
    assert "Run the golden sample" in client.get(reverse("deployments:run_golden", args=place)).content.decode()
    answering.score = 0.50001
    text = client.post(reverse("deployments:run_golden", args=place)).content.decode()
    assert "The same as when it was examined" in text
    assert "at most 1e-05 apart" in text
    answering.score = 0.75
    text = client.post(reverse("deployments:run_golden", args=place)).content.decode()
    assert "Differs from what was stored" in text
    assert "at most 0.25 apart" in text


def test_a_version_that_runs_nowhere_says_so_instead(cast: Cast) -> None:
    version = world.ready_version(cast, golden=GOLDEN)
    client = Client()
    client.force_login(cast.user("dana"), backend="allauth.account.auth_backends.AuthenticationBackend")
    place = [cast.project.slug, version.model.name, version.number]
    text = client.get(reverse("deployments:run_golden", args=place)).content.decode()
    assert "Propose a release of it first" in text
    assert re.search(r"<button[^>]* disabled>", text)
    assert client.post(reverse("deployments:run_golden", args=place)).status_code == 409


@pytest.mark.parametrize(
    ("data", "shape", "worst", "is_same"),
    [
        ([0.5, 1.0], [2], 0.0, True),
        ([[0.5], [1.00005]], [2], 0.00005, True),
        ([0.5, 1.1], [2], 0.1, False),
        ([0.5], [2], float("inf"), False),
        ([0.5, "1"], [2], float("inf"), False),
        ([0.5, 1.0], [2, 1], float("inf"), False),
    ],
)
def test_an_answer_is_set_beside_the_stored_one(data: list, shape: list, worst: float, is_same: bool) -> None:
    stored = {"outputs": [{"name": "score", "shape": [2], "data": [0.5, 1.0]}]}
    (gap,) = compare_answer(stored, {"outputs": [{"name": "score", "shape": shape, "data": data}]})
    assert gap.worst == pytest.approx(worst)
    assert gap.is_same == is_same


def test_an_answer_without_the_output_is_not_the_same() -> None:
    (gap,) = compare_answer(GOLDEN["response"], {"error": "no"})
    assert (gap.is_same, gap.is_measured) == (False, False)
