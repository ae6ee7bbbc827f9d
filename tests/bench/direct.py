"""Requests through the whole stack of middleware, in this process and without a network, and what one takes."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import django
from django.core.management import call_command

WARM = 3  # calls that fill caches, and are not counted
Call = Callable[[], None]


def begin() -> None:
    """Set Django up as in production, on the database that the environment names."""
    os.environ.update(DJANGO_SETTINGS_MODULE="controlplane.settings", SLIPWAY_LOG_LEVEL="ERROR")
    django.setup()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def measure(call: Call, rounds: int) -> tuple[float, ...]:
    """Milliseconds: 10th, 50th and 99th percentile on the clock, and the median of the processor's."""
    walls, works = [], []
    for turn in range(rounds + WARM):
        wall, work = time.perf_counter(), time.process_time()
        call()
        if turn >= WARM:
            walls.append((time.perf_counter() - wall) * 1000)
            works.append((time.process_time() - work) * 1000)
    shares = statistics.quantiles(walls, n=100)
    return shares[9], statistics.median(walls), shares[98], statistics.median(works)


def sign_in(user: Any) -> str:
    """The cookies of a browser in which this person has signed in."""
    from django.test import Client

    client = Client(headers={"Host": "localhost"})
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


class Caller:
    """Makes calls that ask the whole application; one that is not answered with 2xx fails."""

    def __init__(self) -> None:
        from django.core.wsgi import get_wsgi_application
        from django.test import RequestFactory

        self._app, self._factory = get_wsgi_application(), RequestFactory()

    def calling(self, method: str, address: str, headers: dict[str, str], body: Callable[[], str] = str) -> Call:
        def call() -> None:
            request = self._factory.generic(
                method, address, body(), "application/json", headers={"Host": "localhost", **headers}
            )
            told: list[str] = []
            answer = self._app(request.environ, lambda status, _headers: told.append(status))
            text = b"".join(answer)
            answer.close()  # type: ignore[attr-defined]
            assert told[0][:2] == "20", f"{address}: {told[0]} {text[:500]!r}"

        return call
