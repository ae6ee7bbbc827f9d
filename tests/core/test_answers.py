"""What goes wrong outside the views: problem documents for programs, calm pages for people, 503 without a database."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import requests
from django.db import OperationalError
from django.test import Client

from apps.accounts import selectors
from tests.cast import Cast
from tests.engines.databases import cluster
from tests.library.test_tus_server import serve

PROBLEM = "application/problem+json"
NOWHERE = "/api/v1/no/such/thing/"


@pytest.fixture
def ada(cast: Cast) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(cast.user("ada"))
    return client


def read(answer: Any) -> tuple[int, str, Any]:
    """The status, the kind and the sentence of an answer that must be a problem document."""
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "request_id"}
    assert problem["request_id"]
    return answer.status_code, answer["Content-Type"], problem["title"]


def test_an_unknown_address_of_the_api_is_a_problem(client: Client, ada: Client) -> None:
    for caller in (client, ada):
        assert read(caller.get(NOWHERE)) == (404, PROBLEM, "Not found")
    assert read(ada.get("/no-such-page/", headers={"Accept": "application/json"})) == (404, PROBLEM, "Not found")
    assert b"<h1>" in ada.get("/no-such-page/").content


def test_a_strange_host_is_a_problem(client: Client) -> None:
    assert read(client.get(NOWHERE, headers={"Host": "evil.example.com"})) == (400, PROBLEM, "Malformed request")


def test_what_nobody_expected_is_a_problem_without_details(ada: Client) -> None:
    with mock.patch.object(selectors, "get_project", side_effect=ZeroDivisionError("secret detail")):
        answer = ada.get("/api/v1/projects/digits-team/")
    assert read(answer) == (500, PROBLEM, "Broken")
    assert b"secret detail" not in answer.content


def test_a_locked_database_is_a_passing_refusal(ada: Client) -> None:
    with mock.patch.object(selectors, "get_project", side_effect=OperationalError("database is locked")):
        answer = ada.get("/api/v1/projects/digits-team/")
    assert read(answer) == (503, PROBLEM, "Unavailable")
    assert answer["Retry-After"] == "5"


def collect_static(folder: str, url: str) -> None:
    around = {**os.environ, "SLIPWAY_HOME": folder, "SLIPWAY_DATABASE_URL": url}
    around["DJANGO_SETTINGS_MODULE"] = "controlplane.settings"
    command = [sys.executable, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(command, env=around, check=True)


@pytest.mark.engine
def test_while_the_database_is_away_everybody_is_told_to_try_again() -> None:
    with cluster() as postgresql, tempfile.TemporaryDirectory() as folder:
        url = postgresql.create("away")
        with serve(folder, SLIPWAY_DATABASE_URL=url) as web:
            collect_static(folder, url)
            headers = {"Authorization": f"Bearer {web.keys['small']}"}

            def ask(path: str, **more: str) -> requests.Response:
                begun = time.perf_counter()
                answer = requests.get(web.url + path, headers={**headers, **more}, timeout=10)
                assert time.perf_counter() - begun < 2
                return answer

            assert ask("/api/v1/projects/").status_code == 200
            postgresql.stop()
            refuses_calmly(ask)
            postgresql.start()
            assert ask("/api/v1/projects/").status_code == 200


def refuses_calmly(ask: Callable[..., requests.Response]) -> None:
    for _time in range(3):
        answer = ask("/api/v1/projects/")
        assert (answer.status_code, answer.headers["Content-Type"]) == (503, PROBLEM)
        assert (answer.headers["Retry-After"], answer.json()["title"]) == ("5", "Unavailable")
        assert answer.json()["request_id"]
    session = {"Cookie": "slipway_session=" + "a" * 32, "Authorization": ""}
    page = ask("/projects/", Accept="text/html", **session)
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "too busy" in page.text
    assert "Traceback" not in page.text
    part = ask("/projects/", **session, **{"HX-Request": "true"})
    assert (part.status_code, "data-problem" in part.text, "<html" in part.text) == (503, True, False)
    program = ask("/projects/", Accept="application/json", **session)
    assert (program.status_code, program.headers["Content-Type"]) == (503, PROBLEM)
    assert ask("/healthz").status_code == 503
