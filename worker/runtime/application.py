"""Which path means what: the Open Inference Protocol v2, its statistics and repository extensions, metrics, identity.

Routes are looked up by the exact bytes of the path, which is what nearly every request sends; only what is not found
that way is split from its query and unquoted.
"""

import hmac
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, unquote_to_bytes

import orjson

from . import descriptions
from .errors import Refusal
from .exchange import Exchange
from .inference import Inference
from .log import Throttle, first_line
from .manifest import Manifest
from .metrics import Metrics
from .settings import Settings
from .wire import METRICS

LIVE = b"/v2/health/live"
LONGEST_NONCE = 256

_faults = Throttle()

Act = Callable[[Exchange], None]
Route = tuple[str, dict[bytes, Act]]  # a label for metrics, and what answers each method


class Application:
    """Answers requests; ``phase`` says whether the model is loading, ready or draining."""

    def __init__(self, settings: Settings, manifest: Manifest) -> None:
        self.metrics = Metrics()
        self.inference = Inference(manifest, self.metrics, settings.max_body)
        self.phase = "loading"
        self._settings = settings
        self._manifest = manifest
        self._routes = self._make_routes()

    # --- what connections call -----------------------------------------------------------------------------------

    def admit(self, exchange: Exchange) -> None:
        """Find what answers the request; ``Refusal`` where nothing does or the caller may not ask."""
        route = self._routes.get(exchange.target) or self._find(exchange.target)
        secret = self._settings.secret
        if secret and route is not self._routes[LIVE]:
            shown = exchange.headers.get(b"x-slipway-secret", b"")
            if not hmac.compare_digest(shown, secret):
                raise Refusal(401, "The X-Slipway-Secret header is missing or wrong")
        if route is None:
            raise Refusal(404, self._explain_missing(exchange.target))
        exchange.route, acts = route
        exchange.act = acts.get(exchange.method)
        if exchange.act is None:
            allowed = b", ".join(acts).decode()
            raise Refusal(405, f"This address takes {allowed}, got {exchange.method.decode()}", (("Allow", allowed),))

    def handle(self, exchange: Exchange) -> None:
        try:
            exchange.act(exchange)  # type: ignore[misc]
        except Refusal as refusal:
            exchange.refuse(refusal)
        except Exception as error:  # a fault of ours must not cost the other connections
            _faults.write_log("request_failed", "error", route=exchange.route, error=first_line(error))
            exchange.refuse(Refusal(500, "The server failed on this request"))

    def observe(self, exchange: Exchange, status: int) -> None:
        metrics = self.metrics
        route = exchange.route
        metrics.requests[route, status // 100] += 1
        if route == "infer":
            ended = time.perf_counter()
            seconds = ended - exchange.started
            metrics.duration.observe(seconds)
            if status == 200:
                metrics.succeeded += 1
                metrics.succeeded_seconds += seconds
                metrics.last_inference = ended
            else:
                metrics.failed += 1
                metrics.failed_seconds += seconds

    # --- routes --------------------------------------------------------------------------------------------------

    def _make_routes(self) -> dict[bytes, Route]:
        server = _get("server", self._server)
        routes: dict[bytes, Route] = {
            b"/v2": server,
            b"/v2/": server,
            LIVE: _get("live", self._live),
            b"/v2/health/ready": _get("ready", self._ready),
            b"/v2/models/stats": _get("stats", self._stats),
            b"/v2/repository/index": ("repository", {b"POST": self._index}),
            b"/metrics": _get("metrics", self._metrics),
            b"/slipway/identity": _get("identity", self._identity),
        }
        for base in self._bases():
            routes[base] = _get("model", self._model)
            routes[base + b"/ready"] = _get("model_ready", self._model_ready)
            routes[base + b"/stats"] = _get("stats", self._stats)
            routes[base + b"/infer"] = ("infer", {b"POST": self.inference.infer})
        for verb in (b"load", b"unload"):
            routes[b"/v2/repository/models/%s/%s" % (self._manifest.model.encode(), verb)] = (
                "repository",
                {b"POST": self._refuse_change},
            )
        return routes

    def _bases(self) -> set[bytes]:
        """The model's addresses, with and without its version, plain and percent-encoded."""
        model, version = self._manifest.model, self._manifest.version
        return {
            path.encode()
            for name, number in ((model, version), (quote(model, safe=""), quote(version, safe="")))
            for path in (f"/v2/models/{name}", f"/v2/models/{name}/versions/{number}")
        }

    def _find(self, target: bytes) -> Route | None:
        """The route of a target that carries a query, needless percent signs, or a scheme and host."""
        path = target.partition(b"?")[0]
        if path.startswith((b"http://", b"https://")):
            path = b"/" + path.split(b"/", 3)[3] if path.count(b"/") > 2 else b"/"
        return self._routes.get(path) or self._routes.get(unquote_to_bytes(path))

    def _explain_missing(self, target: bytes) -> str:
        path = unquote_to_bytes(target.partition(b"?")[0])
        model, version = self._manifest.model, self._manifest.version
        if path.startswith((b"/v2/models/", b"/v2/repository/models/")):
            return f"There is no such model or call here: this server has the model '{model}' in version '{version}'"
        return "There is nothing at this address: the Open Inference Protocol starts at /v2"

    # --- answers -------------------------------------------------------------------------------------------------

    def _server(self, exchange: Exchange) -> None:
        _answer(exchange, descriptions.describe_server())

    def _live(self, exchange: Exchange) -> None:
        _answer(exchange, {"live": True})

    def _ready(self, exchange: Exchange) -> None:
        self._require_ready()
        _answer(exchange, {"ready": True, "live": True})

    def _model_ready(self, exchange: Exchange) -> None:
        self._require_ready()
        _answer(exchange, {"name": self._manifest.model, "ready": True})

    def _require_ready(self) -> None:
        if self.phase != "ready":
            raise Refusal(503, f"The server is {self.phase}", (("Retry-After", "1"),))

    def _model(self, exchange: Exchange) -> None:
        """The gateway, which knows the secret, says in a header which versions are served at its address in all."""
        told = exchange.headers.get(b"x-slipway-versions", b"").decode("latin-1")
        versions = told.split(", ") if told else [self._manifest.version]
        _answer(exchange, descriptions.describe_model(self._manifest, versions))

    def _stats(self, exchange: Exchange) -> None:
        _answer(exchange, descriptions.describe_statistics(self._manifest, self.metrics))

    def _index(self, exchange: Exchange) -> None:
        _answer(exchange, descriptions.describe_repository(self._manifest, self.phase == "ready"))

    def _refuse_change(self, exchange: Exchange) -> None:
        raise Refusal(501, "The model is part of this server: it can be neither loaded nor unloaded")

    def _metrics(self, exchange: Exchange) -> None:
        self.metrics.ready = self.phase == "ready"
        labels = {
            "model": self._manifest.model,
            "version": self._manifest.version,
            "release": self._settings.release,
            "replica": self._settings.replica,
        }
        exchange.answer(self.metrics.render(labels), METRICS)

    def _identity(self, exchange: Exchange) -> None:
        """Prove to who knows the secret that this replica does too, and which subject it serves."""
        query = parse_qs(exchange.target.partition(b"?")[2].decode("latin-1"))
        nonce = query.get("nonce", [""])[0]
        if not 0 < len(nonce) <= LONGEST_NONCE:
            raise Refusal(400, f"nonce has to have 1 to {LONGEST_NONCE} characters")
        if not self._settings.secret:
            raise Refusal(501, "This replica was started without a secret, so it cannot prove its identity")
        subject = self._manifest.subject
        proof = descriptions.prove_identity(self._settings.secret, subject, nonce)
        _answer(exchange, {"release": self._settings.release, "subject": subject, "proof": proof})


def _get(label: str, act: Act) -> Route:
    return label, {b"GET": act, b"HEAD": act}


def _answer(exchange: Exchange, document: Any) -> None:
    exchange.answer(orjson.dumps(document))
