"""Which deployment gets a call, and which of its replicas."""

from collections.abc import Container, Iterable, Sequence

from apps.gateway.config import Limits
from apps.gateway.metering import Books, Meter
from apps.gateway.replicas import Backend
from apps.gateway.tables import Endpoint, Replica, Route, Snapshot

RETRY_SHARE = 0.2
RETRIES_AT_ONCE = 5_000.0  # so that one dead replica of two is masked even with thousands of calls in flight


class LiveRoute:
    """A route with its replicas; the least busy one is chosen, in turn where several are."""

    __slots__ = ("_turn", "backends", "deployment", "meter", "model", "release", "version", "weight")

    def __init__(self, route: Route, backends: Sequence[Backend], meter: Meter) -> None:
        self.deployment = route.deployment
        self.release = route.release.encode("latin-1")
        self.model = route.model
        self.version = route.version
        self.weight = route.weight
        self.backends = tuple(backends)
        self.meter = meter
        self._turn = 0

    def choose(self, now: float, tried: Container[Backend] = ()) -> Backend | None:
        """The least busy replica that is trusted and not ``tried``; an ejected one only if there is no other."""
        best = spare = None
        backends = self.backends
        self._turn = turn = (self._turn + 1) % len(backends)
        for place in range(len(backends)):
            backend = backends[turn - place]
            if backend in tried:
                continue
            if backend.ejected_until > now:
                spare = backend
            elif best is None or backend.in_flight < best.in_flight:
                best = backend
        return best or spare


class Choices:
    """The routes that a call may take; those without replicas are left out."""

    __slots__ = ("routes", "weight")

    def __init__(self, routes: Iterable[LiveRoute]) -> None:
        self.routes = tuple(route for route in routes if route.backends)
        self.weight = sum(route.weight for route in self.routes)


class LiveEndpoint:
    """An endpoint with its routes, and its allowance for second attempts."""

    __slots__ = ("_by_version", "_retries", "_salt", "_told_versions", "about", "everything", "own_meter")

    def __init__(self, about: Endpoint, routes: Sequence[LiveRoute], own_meter: Meter, salt: bytes) -> None:
        self.about = about
        self.own_meter = own_meter  # of what no deployment could take
        weighted = [route for route in routes if route.weight > 0]
        by_version: dict[tuple[str, str], list[LiveRoute]] = {}
        for route in weighted:
            by_version.setdefault((route.model, route.version), []).append(route)
        self.everything = Choices(weighted)  # where a call may go that names no version
        self._by_version = {version: Choices(found) for version, found in by_version.items()}
        self._told_versions = {model: _tell_versions(model, by_version) for model, _version in by_version}
        self._salt = salt
        self._retries = RETRIES_AT_ONCE

    def of_version(self, model: str, version: str) -> Choices | None:
        """Where a call that names a version may go; None where nothing here serves it."""
        return self._by_version.get((model, version))

    def tell_versions(self, model: str) -> bytes:
        """The header by which a replica hears of all versions of its model that are served here."""
        return self._told_versions.get(model, b"")

    def choose(self, choices: Choices, request_id: bytes) -> LiveRoute | None:
        """The route of this request, by weight: the same again for the same request id, and foreseen by nobody.

        Python's hash of bytes is SipHash under a random key of this process, ten times quicker than an HMAC.
        """
        self._retries = min(self._retries + RETRY_SHARE, RETRIES_AT_ONCE)
        routes = choices.routes
        if len(routes) == 1:
            return routes[0]
        if not routes:
            return None
        rest = (hash(self._salt + request_id) & 0xFFFFFFFF) * choices.weight >> 32
        for route in routes:
            rest -= route.weight
            if rest < 0:
                return route
        return None

    def second_choice(
        self, choices: Choices, first: LiveRoute, now: float, tried: Container[Backend]
    ) -> tuple[LiveRoute, Backend] | None:
        """A replica that was not tried: of the same deployment if there is one, else of another."""
        for route in (first, *(route for route in choices.routes if route is not first)):
            backend = route.choose(now, tried)
            if backend is not None:
                return route, backend
        return None

    def take_retry(self) -> bool:
        """Whether one more second attempt fits into the allowance: a fifth of all calls, so that no storm builds up."""
        if self._retries < 1.0:
            return False
        self._retries -= 1.0
        return True


def _tell_versions(model: str, known: Iterable[tuple[str, str]]) -> bytes:
    versions = sorted((version for name, version in known if name == model), key=lambda text: (len(text), text))
    return f"x-slipway-versions: {', '.join(versions)}\r\n".encode("latin-1")


class Directory:
    """The present snapshot in the form that calls use; replicas and meters live on from one to the next."""

    def __init__(self, books: Books, limits: Limits, salt: bytes) -> None:
        self._books = books
        self._limits = limits
        self._salt = salt
        self._backends: dict[Replica, Backend] = {}
        self._endpoints: dict[tuple[str, str], LiveEndpoint] = {}

    def find(self, project: str, name: str) -> LiveEndpoint | None:
        return self._endpoints.get((project, name))

    @property
    def endpoints(self) -> Sequence[LiveEndpoint]:
        return tuple(self._endpoints.values())

    @property
    def backends(self) -> Sequence[Backend]:
        return tuple(self._backends.values())

    def replace(self, snapshot: Snapshot) -> None:
        """Route by this snapshot from now on; replicas that are no longer in it finish what they have begun."""
        before, self._backends = self._backends, {}
        self._endpoints = {key: self._make(endpoint, before) for key, endpoint in snapshot.endpoints.items()}
        for replica, backend in before.items():
            if replica not in self._backends:
                backend.retire()
        routes = [(e.project, e.name, r.deployment) for e in snapshot.endpoints.values() for r in e.routes]
        self._books.forget_meters({*routes, *((project, name, "") for project, name in snapshot.endpoints)})

    def _make(self, endpoint: Endpoint, before: dict[Replica, Backend]) -> LiveEndpoint:
        routes = []
        for route in endpoint.routes:
            backends = [self._keep(replica, before) for replica in route.replicas]
            meter = self._books.meter(endpoint.project, endpoint.name, route.deployment)
            routes.append(LiveRoute(route, backends, meter))
        own_meter = self._books.meter(endpoint.project, endpoint.name, "")
        return LiveEndpoint(endpoint, routes, own_meter, self._salt)

    def _keep(self, replica: Replica, before: dict[Replica, Backend]) -> Backend:
        backend = self._backends.get(replica) or before.get(replica) or Backend(replica, self._limits)
        self._backends[replica] = backend
        return backend
