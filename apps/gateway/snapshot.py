"""The snapshot out of the database, in three queries however much there is. The only room here that knows Django."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.db import close_old_connections
from django.utils import timezone

from apps.accounts.models import ApiKey
from apps.core.sealing import SealBroken
from apps.deployments import models as deployments
from apps.deployments.credentials import open_secret
from apps.gateway.tables import Endpoint, Key, Replica, Route, Snapshot, make_snapshot, to_json
from apps.targets import models as targets

logger = logging.getLogger(__name__)

_KEY = ("key_id", "digest", "project__slug", "scopes", "expires_at", "rate_per_minute", "networks")
_ENDPOINT = ("pk", "project__slug", "name", "max_body_bytes", "timeout_seconds", "is_idempotent")
_ROUTE = (
    "endpoint_id",
    "weight",
    "deployment_id",
    "deployment__release_id",
    "deployment__release__version__model__name",
    "deployment__release__version__number",
)
_REPLICA = ("name", "state", "address", "sealed")
_INVOKE = "invoke:"


def load_snapshot() -> Snapshot:
    """Live keys that may invoke something, and every endpoint with its routes and running replicas."""
    close_old_connections()
    keys = [_make_key(*row) for row in _live_keys().values_list(*_KEY)]
    keys = [key for key in keys if any(scope.startswith(_INVOKE) for scope in key.scopes)]
    routes = _load_routes()
    endpoints = [_make_endpoint(row, routes[row[0]]) for row in _endpoints()]
    draft = make_snapshot("", keys, endpoints)
    return make_snapshot(hashlib.sha256(to_json(draft)).hexdigest(), keys, endpoints)


def _live_keys() -> Any:
    taken = ApiKey.objects.filter(revoked_at=None, disabled_at=None, created_by__is_active=True)
    return taken.filter(expires_at__gt=timezone.now()).order_by("pk")


def _make_key(
    key_id: str, digest: bytes, project: str, scopes: list[str], expires_at: Any, rate: int, networks: list[str]
) -> Key:
    return Key(key_id, bytes(digest), project, frozenset(scopes), expires_at.timestamp(), rate, tuple(networks))


def _endpoints() -> Iterable[tuple[Any, ...]]:
    return targets.Endpoint.objects.order_by("pk").values_list(*_ENDPOINT)


def _make_endpoint(row: tuple[Any, ...], routes: list[Route]) -> Endpoint:
    _, project, name, max_body, timeout, idempotent = row
    model = routes[0].model if routes else ""
    return Endpoint(project, name, model, max_body, timeout, idempotent, tuple(routes))


def _load_routes() -> dict[int, list[Route]]:
    """By endpoint, heaviest first.

    Routes and replicas come in one query, so that a deployment is never seen with the routes of one moment and the
    replicas of another.
    """
    rows = deployments.Route.objects.order_by(
        "endpoint_id", "-weight", "deployment_id", "deployment__replica_set__index"
    )
    columns = (*_ROUTE, *(f"deployment__replica_set__{column}" for column in _REPLICA))
    replicas: dict[tuple[Any, ...], list[Replica]] = {}
    for row in rows.values_list(*columns):
        found = replicas.setdefault(row[: len(_ROUTE)], [])
        replica = _make_replica(*row[len(_ROUTE) :])
        if replica is not None:
            found.append(replica)
    routes: dict[int, list[Route]] = defaultdict(list)
    for (endpoint, weight, deployment, release, model, version), ready in replicas.items():
        route = Route(str(deployment), str(release), weight, tuple(ready), model, str(version))
        routes[endpoint].append(route)
    return routes


def _make_replica(name: str | None, state: str, address: str, sealed: str) -> Replica | None:
    """The replica if it may be routed to: running, with an address, and with a secret that opens here."""
    if name is None or state != deployments.Replica.State.RUNNING:
        return None
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        return None
    try:
        return Replica(name, host.strip("[]"), int(port), _open_secret(name, sealed))
    except SealBroken:
        logger.error("the secret of replica %s does not open here: no calls go to it", name)
        return None


@lru_cache(maxsize=4096)
def _open_secret(name: str, sealed: str) -> str:
    return open_secret(name, sealed) if sealed else ""
