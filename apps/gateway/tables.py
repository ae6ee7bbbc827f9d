"""What the gateway may serve, as frozen values, and their form on disk."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Replica:
    """One running copy; ``secret`` is what a caller has to show it."""

    id: str
    host: str
    port: int
    secret: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Route:
    """A deployment's share of its endpoint's traffic. ``replicas`` are those that are ready."""

    deployment: str
    release: str
    weight: int
    replicas: tuple[Replica, ...] = ()
    model: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address. Where ``idempotent``, a call whose answer got lost may be made again elsewhere."""

    project: str
    name: str
    model: str
    max_body: int
    timeout_seconds: float
    idempotent: bool
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """One live key; ``expires_at`` is in seconds since the epoch, ``rate_per_minute`` 0 is without limit."""

    id: str
    digest: bytes = field(repr=False)
    project: str
    scopes: frozenset[str]
    expires_at: float | None
    rate_per_minute: int
    networks: tuple[str, ...] = ()  # ranges of addresses that it is taken from; none is from everywhere


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything at one moment; equal versions mean equal contents. Endpoints are by (project, name)."""

    version: str
    keys: Mapping[str, Key]
    endpoints: Mapping[tuple[str, str], Endpoint]


EMPTY = Snapshot("", {}, {})


def make_snapshot(version: str, keys: Iterable[Key], endpoints: Iterable[Endpoint]) -> Snapshot:
    return Snapshot(
        version,
        {key.id: key for key in keys},
        {(endpoint.project, endpoint.name): endpoint for endpoint in endpoints},
    )


def to_json(snapshot: Snapshot) -> bytes:
    return orjson.dumps(
        {
            "version": snapshot.version,
            "keys": [_key_to_json(key) for key in snapshot.keys.values()],
            "endpoints": [asdict(endpoint) for endpoint in snapshot.endpoints.values()],
        }
    )


def from_json(data: bytes) -> Snapshot:
    """The snapshot that ``to_json`` wrote; ValueError for anything else."""
    try:
        fields = orjson.loads(data)
        keys = [_key_from_json(row) for row in fields["keys"]]
        endpoints = [_endpoint_from_json(row) for row in fields["endpoints"]]
        return make_snapshot(fields["version"], keys, endpoints)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not a gateway snapshot: {error!r}") from error


def _key_to_json(key: Key) -> dict[str, Any]:
    return {**asdict(key), "digest": key.digest.hex(), "scopes": sorted(key.scopes)}


def _key_from_json(row: dict[str, Any]) -> Key:
    whole = {**row, "digest": bytes.fromhex(row["digest"]), "scopes": frozenset(row["scopes"])}
    return Key(**{**whole, "networks": tuple(row.get("networks", ()))})


def _endpoint_from_json(row: dict[str, Any]) -> Endpoint:
    return Endpoint(**{**row, "routes": tuple(_route_from_json(route) for route in row["routes"])})


def _route_from_json(row: dict[str, Any]) -> Route:
    return Route(**{**row, "replicas": tuple(Replica(**replica) for replica in row["replicas"])})
