"""Taking in what was measured: windows from gateways, samples from replicas. Storing the same twice changes nothing."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.cache import cache
from django.utils import timezone

from apps.deployments.models import Deployment
from apps.monitoring.latencies import Latencies
from apps.monitoring.models import Sample, Window
from apps.monitoring.spans import FINEST
from apps.targets.models import Endpoint

log = structlog.get_logger(__name__)

#: A timer may wake this much early (seconds): the window it opens belongs to the step it was meant for.
EARLY_SECONDS = 0.5
HEARD_FOR_SECONDS = 60

Sent = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """CPU (share of one core) and memory of one replica at one moment."""

    replica: str
    deployment_id: int
    cpu: float
    memory_bytes: int


def store_windows(gateway: str, sent: Sequence[Sent]) -> int:
    """Store closed windows of one gateway; return how many were good.

    Those of unknown endpoints or deployments, and damaged ones, are dropped with a line in the log. Always three
    queries.
    """
    endpoints = _endpoint_ids(sent)
    deployments = set(
        Deployment.objects.filter(pk__in={int(one["deployment"]) for one in sent if one["deployment"].isdigit()})
        .order_by()
        .values_list("endpoint_id", "pk")
    )
    rows = [row for one in sent if (row := _row(gateway, one, endpoints, deployments))]
    Window.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def store_samples(readings: Iterable[Reading]) -> None:
    """Store one sample for each reading, all at the present moment."""
    now = timezone.now()
    Sample.objects.bulk_create(
        Sample(
            replica_name=one.replica,
            deployment_id=one.deployment_id,
            at=now,
            cpu=one.cpu,
            memory_bytes=one.memory_bytes,
        )
        for one in readings
    )


def last_sequence(address: str) -> int:
    """The number up to which the gateway at ``address`` has been collected; 0 is safe, since storing is idempotent."""
    return int(cache.get(_key(address), 0))


def note_collected(address: str, sequence: int) -> None:
    """Remember that everything up to ``sequence`` is stored, and that a gateway has been heard."""
    cache.set(_key(address), sequence, timeout=None)
    cache.set("monitoring:heard", True, timeout=HEARD_FOR_SECONDS)


def is_gateway_heard() -> bool:
    """Whether any gateway has answered lately, so that silence about an endpoint means no traffic."""
    return bool(cache.get("monitoring:heard"))


def _key(address: str) -> str:
    return "monitoring:sequence:" + base64.urlsafe_b64encode(address.encode()).decode()


def _endpoint_ids(sent: Sequence[Sent]) -> dict[tuple[str, str], int]:
    rows = Endpoint.objects.filter(
        project__slug__in={one["project"] for one in sent}, name__in={one["endpoint"] for one in sent}
    ).order_by()
    return {(slug, name): pk for slug, name, pk in rows.values_list("project__slug", "name", "pk")}


def _row(
    gateway: str, one: Sent, endpoints: Mapping[tuple[str, str], int], deployments: set[tuple[int, int]]
) -> Window | None:
    endpoint = endpoints.get((one["project"], one["endpoint"]))
    deployment = int(one["deployment"]) if one["deployment"].isdigit() else None
    if endpoint is None or (deployment is not None and (endpoint, deployment) not in deployments):
        log.warning("window_dropped", reason="unknown", gateway=gateway, endpoint=one["endpoint"], seq=one["seq"])
        return None
    try:
        Latencies.of(one["histogram"])
    except ValueError:
        log.warning("window_dropped", reason="damaged", gateway=gateway, endpoint=one["endpoint"], seq=one["seq"])
        return None
    return Window(
        endpoint_id=endpoint,
        deployment_id=deployment,
        start=_start(one["start"]),
        seconds=one["seconds"],
        source=gateway[:40],
        requests=sum(one["counts"].values()),
        counts=one["counts"],
        errors=one["errors"],
        bytes_in=one["bytes_in"],
        bytes_out=one["bytes_out"],
        in_flight_max=one["in_flight_max"],
        histogram=one["histogram"].encode(),
    )


def _start(epoch: float) -> datetime:
    """A window that opened a moment early starts with the step it belongs to; others as they are."""
    following = math.ceil(epoch / FINEST) * FINEST
    return datetime.fromtimestamp(following if following - epoch <= EARLY_SECONDS else epoch, UTC)
