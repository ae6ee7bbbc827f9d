"""Real samples, a few every second, through the gateway with a key: so that the dashboards live."""

import http.client
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PER_SECOND = 5.0
PAUSE_AFTER_TROUBLE = 1.0


@dataclass(frozen=True)
class Caller:
    """One endpoint that is called, with the rows to send it and their truth."""

    url: str
    model: str
    input: str
    rows: list[list[float]]
    labels: list[int]
    share: float = 1.0


def read_samples(path: Path) -> tuple[list[list[float]], list[int]]:
    data = json.loads(path.read_text())
    return data["rows"], data["labels"]


def call(caller: Caller, key: str, rows: list[list[float]], connection: http.client.HTTPConnection) -> Any:
    """The outputs for ``rows``; raises OSError or HTTPException when there is no good answer."""
    tensor = {"name": caller.input, "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": rows}
    path = f"{urlsplit(caller.url).path}/v2/models/{caller.model}/infer"
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps({"inputs": [tensor]}), headers)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ConnectionError(f"{response.status} {body[:200].decode(errors='replace')}")
    return json.loads(body)["outputs"]


def connect(caller: Caller) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(caller.url).netloc, timeout=10)


def send_for_ever(callers: list[Caller], key: str) -> None:
    """About five requests a second, at irregular moments as from many clients; trouble is waited out."""
    connections = {caller.url: connect(caller) for caller in callers}
    chance = random.Random(7)
    for caller in choose(callers, chance):
        begun = time.monotonic()
        row = chance.choice(caller.rows)
        try:
            call(caller, key, [row], connections[caller.url])
        except (OSError, http.client.HTTPException):
            connections[caller.url].close()
            time.sleep(PAUSE_AFTER_TROUBLE)
        time.sleep(max(0.0, chance.expovariate(PER_SECOND) - (time.monotonic() - begun)))


def choose(callers: list[Caller], chance: random.Random) -> Iterator[Caller]:
    weights = [caller.share for caller in callers]
    while True:
        yield chance.choices(callers, weights)[0]
