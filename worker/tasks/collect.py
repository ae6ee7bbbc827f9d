"""Fetch what gateways and replicas measured. ``collect`` and ``roll_up`` are called by the sweep, one at a time."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import structlog
from django.conf import settings

from apps.accounts import services as accounts
from apps.deployments.models import Replica
from apps.monitoring import intake, partitions, rollup
from apps.targets.models import Target
from apps.targets.services import open_secrets
from worker.drivers.registry import open_driver
from worker.errors import ToolError
from worker.specs import TargetSpec

log = structlog.get_logger(__name__)

FETCH_SECONDS = 3.0
MOST_ANSWERS = 20  # of one gateway in a row: what is left comes with the next round
LARGEST_ANSWER = 16 << 20
SAMPLE_EVERY_SECONDS = 10.0

# Gateways are our own and near; a proxy of the machine's environment must never see the internal token.
_opener = build_opener(ProxyHandler({}))


@dataclass(frozen=True)
class CpuReading:
    """How much processor time a replica had used up at some moment of our monotonic clock."""

    at: float
    cpu_seconds: float


class Sampler:
    """Turns readings that only grow into shares of a core; remembers one reading for each replica."""

    def __init__(self) -> None:
        self._last: dict[str, CpuReading] = {}
        self._sampled_at = float("-inf")

    def is_due(self, now: float) -> bool:
        return now - self._sampled_at >= SAMPLE_EVERY_SECONDS

    def forget_others(self, names: set[str], now: float) -> None:
        self._sampled_at = now
        self._last = {name: reading for name, reading in self._last.items() if name in names}

    def share(self, name: str, cpu_seconds: float, now: float) -> float | None:
        """Share of one core since the last reading; None for the first one, and after a restart."""
        before, self._last[name] = self._last.get(name), CpuReading(now, cpu_seconds)
        if before is None or cpu_seconds < before.cpu_seconds or now <= before.at:
            return None
        return (cpu_seconds - before.cpu_seconds) / (now - before.at)


_sampler = Sampler()


def collect() -> None:
    """Store what every gateway has closed since the last time, and a sample of every running replica."""
    for url in settings.SLIPWAY_GATEWAY_INTERNAL_URLS:
        for address in each_gateway(url):
            collect_gateway(address)
    now = time.monotonic()
    if _sampler.is_due(now):
        sample_replicas(_sampler, now)


def roll_up() -> None:
    """Make minutes and hours of what is finished, and forget what is old enough. Once a minute is often enough."""
    partitions.make_ahead()
    rollup.roll_up()
    rollup.forget()


def each_gateway(url: str) -> list[str]:
    """The address of every gateway that ``url`` stands for: a container engine gives all copies of one the same name.

    An address with TLS stays as it is, since its certificate is for the name.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        return [url]
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 80, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        log.warning("gateway_not_found", gateway=url, error=str(error))
        return []
    return sorted({f"http://{place[0]!s}:{place[1]!s}" for *_kind, place in found})


def collect_gateway(address: str) -> int:
    """Store everything a gateway has to tell; return how many windows. One that does not answer is for the log."""
    stored = 0
    for _round in range(MOST_ANSWERS):
        after = intake.last_sequence(address)
        try:
            answer = fetch_windows(address, after)
        except (URLError, HTTPException, OSError, ValueError) as error:
            log.warning("gateway_not_collected", gateway=address, error=str(error))
            return stored
        windows = answer["windows"]
        stored += intake.store_windows(answer["gateway"], windows)
        accounts.note_keys_used(answer.get("keys", {}))
        intake.note_collected(address, windows[-1]["seq"] if windows else after)
        if not answer.get("more"):
            break
    return stored


def fetch_windows(address: str, after: int) -> dict[str, Any]:
    """The closed windows numbered above ``after``, as the gateway holds them; ValueError for another answer."""
    request = Request(
        f"{address}/-/windows?after={after}", headers={"X-Slipway-Token": settings.SLIPWAY_INTERNAL_TOKEN}
    )
    with _opener.open(request, timeout=FETCH_SECONDS) as response:
        answer = json.loads(response.read(LARGEST_ANSWER))
    if not isinstance(answer, dict) or not isinstance(answer.get("windows"), list):
        raise ValueError("not a list of windows")
    return answer


def sample_replicas(sampler: Sampler, now: float) -> None:
    """Store CPU and memory of every replica that runs. A target that does not answer leaves a gap."""
    by_target: dict[int, list[Replica]] = {}
    for row in running_replicas():
        by_target.setdefault(row.deployment.target_id, []).append(row)
    sampler.forget_others({row.name for rows in by_target.values() for row in rows}, now)
    readings = []
    for rows in by_target.values():
        try:
            readings += read_target(rows[0].deployment.target, rows, sampler)
        except ToolError as error:
            log.warning("target_not_sampled", target=rows[0].deployment.target.name, error=str(error))
    intake.store_samples(readings)


def running_replicas() -> Sequence[Replica]:
    return list(Replica.objects.filter(state=Replica.State.RUNNING).select_related("deployment__target"))


def read_target(target: Target, rows: Sequence[Replica], sampler: Sampler) -> list[intake.Reading]:
    """The readings of one target's replicas; a replica that is gone by now, or was never read before, has none."""
    spec = TargetSpec(target.name, target.kind, target.config, open_secrets(target))
    driver = open_driver(spec, Path(settings.SLIPWAY_HOME))
    readings = []
    for row in rows:
        try:
            stats = driver.stats(row.name)
        except ToolError as error:
            log.info("replica_not_sampled", replica=row.name, error=str(error))
            continue
        if stats is None:
            continue
        share = sampler.share(row.name, stats.cpu_seconds, time.monotonic())
        if share is not None:
            readings.append(intake.Reading(row.name, row.deployment_id, share, stats.memory_bytes))
    return readings
