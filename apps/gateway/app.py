"""The ASGI application: one request from its head to its line in the books."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import Callable

from apps.gateway.admission import Admission
from apps.gateway.calls import Call, Phase, Receive, Scope, Send, Watch
from apps.gateway.config import GatewaySettings
from apps.gateway.forwarding import Forwarder
from apps.gateway.internal import InternalPages
from apps.gateway.metering import Books, encode_window
from apps.gateway.refreshing import Refresher, SnapshotFile
from apps.gateway.refusals import (
    ClientGone,
    Refusal,
    failed,
    not_found,
    overdue,
    overloaded,
    too_slow,
    wrong_method,
)
from apps.gateway.requests import Address, Head, read_address, read_client, read_head, read_request_id
from apps.gateway.routing import Directory
from apps.gateway.sharing import SharedRates
from apps.gateway.tables import Snapshot
from apps.gateway.upstream import ReplicaError

logger = logging.getLogger(__name__)


class Gateway:
    """Serves calls by the last snapshot that ``load`` gave."""

    def __init__(self, settings: GatewaySettings, load: Callable[[], Snapshot]) -> None:
        limits = settings.limits
        self._settings = settings
        self._limits = limits
        self._events: Counter[str] = Counter()
        self._watch = Watch()
        self._books = Books(settings.name, limits.window_seconds, limits.keep_windows_seconds)
        salt = hashlib.blake2b(settings.peppers[0], person=b"slipway routes").digest()
        self._directory = Directory(self._books, limits, salt)
        self._shared: SharedRates | None = None
        if settings.redis_url:
            self._shared = SharedRates(settings.redis_url, limits.redis_seconds, self._events)
        self._admission = Admission(
            settings.peppers, limits.failures_per_minute, limits.in_flight_per_key, self._shared
        )
        file = SnapshotFile(settings.home / "snapshot.json")
        self._refresher = Refresher(load, self._use, file, limits.refresh_seconds)
        self._internal = InternalPages(
            settings.internal_token, self._books, self._admission, self._events, self._refresher
        )
        self._forwarder: Forwarder
        self._now: Callable[[], float]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._serve_otherwise(scope, receive, send)
            return
        now = self._now()
        call = Call(scope, receive, send, now, now + self._limits.body_idle_seconds)
        calls = self._watch.calls
        calls.add(call)
        try:
            await self._answer(call, scope, len(calls))
        except Refusal as refusal:
            await self._refuse(call, refusal)
        except (ClientGone, ReplicaError, asyncio.CancelledError) as end:
            await self._end(call, end)
        except Exception:
            logger.exception("request %s failed", call.request_id.decode())
            await self._refuse(call, failed())
        finally:
            self._watch.remove(call)
            self._book(call)

    async def _answer(self, call: Call, scope: Scope, in_flight: int) -> None:
        headers = scope["headers"]
        try:
            head = read_head(headers, scope["http_version"])
        except Refusal:
            call.request_id = read_request_id(headers)
            raise
        call.request_id = head.request_id
        client = scope["client"][0] if scope["client"] else ""
        address = read_address(scope["raw_path"])
        if address is None:
            await self._answer_internal(call, scope, head, client)
            return
        if in_flight > self._limits.in_flight:
            raise overloaded()
        if self._settings.proxies:
            client = read_client(head, client, self._settings.proxies)
        await self._call_endpoint(call, scope["method"], address, head, client)

    async def _call_endpoint(self, call: Call, method: str, address: Address, head: Head, client: str) -> None:
        caller = self._admission.identify(head.authorization, client, call.started)
        if caller.networks:
            self._admission.refuse_elsewhere(caller, client, call.started)
        self._admission.authorize(caller, address.project, address.endpoint)
        endpoint = self._directory.find(address.project, address.endpoint)
        if endpoint is None:
            raise not_found()
        call.meter = endpoint.own_meter
        if method != address.method and (method, address.method) != ("HEAD", "GET"):
            raise wrong_method(address.method)
        turn = self._admission.take_turn(caller, call.started)
        caller.in_flight += 1
        try:
            if turn is not None:
                await turn
            await self._forwarder.forward(call, endpoint, address, head)
        except asyncio.CancelledError:
            if call.cut is not Phase.REPLICA:
                raise
            call.task.uncancel()
            raise overdue(endpoint.about.timeout_seconds) from None
        finally:
            caller.in_flight -= 1

    async def _answer_internal(self, call: Call, scope: Scope, head: Head, client: str) -> None:
        status, kind, body = self._internal.answer(scope["method"], scope["path"], scope["query_string"], head, client)
        await call.answer(status, [(b"content-type", kind)], body)

    # --- other ends than an answer from a replica ----------------------------------------------------------------

    async def _refuse(self, call: Call, refusal: Refusal) -> None:
        """Say why not; where the answer has begun already, the connection is all that can be broken off."""
        self._note(call, refusal.kind)
        call.status = refusal.status
        if call.has_begun:
            return
        await call.answer(refusal.status, refusal.headers, refusal.body)

    async def _end(self, call: Call, end: BaseException) -> None:
        if isinstance(end, ReplicaError):  # in the middle of the answer: the forwarder has noted it
            call.status = 502
            return
        if isinstance(end, asyncio.CancelledError):
            if not call.cut:
                raise end
            call.task.uncancel()
        if call.cut is Phase.CLIENT:
            await self._refuse(call, too_slow())
        elif call.cut is Phase.ANSWER:
            self._note(call, "stalled")
            call.status = 502
        else:
            self._note(call, "client_gone")
            call.status = 0

    def _note(self, call: Call, kind: str) -> None:
        if call.meter is None:
            self._events[kind] += 1
        elif not call.is_routed or kind in ("client_gone", "client_timeout", "stalled", "body_too_large"):
            call.meter.note_error(kind)

    def _book(self, call: Call) -> None:
        meter = call.meter
        if meter is None:
            return
        if not call.status:
            meter.count_gone()
        elif call.is_routed:
            meter.count(call.status, self._now() - call.started, call.bytes_in, call.bytes_out)
        else:
            meter.count_refused(call.status)

    # --- the process's life --------------------------------------------------------------------------------------

    async def _serve_otherwise(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _use(self, snapshot: Snapshot) -> None:
        self._admission.replace_keys(snapshot.keys)
        self._directory.replace(snapshot)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        scope["state"]["events"] = self._events  # the protocol counts in it what never becomes a call
        tasks = await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _start(self) -> list["asyncio.Task[None]"]:
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self._forwarder = Forwarder(self._limits, self._events)
        self._settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._books.load(self._settings.home / "windows.json")
        await self._refresher.start()
        work = [self._watch.run(), self._refresher.run(), self._close_windows(), self._tidy_connections()]
        if self._shared is not None:
            work.append(self._shared.run())
        return [asyncio.create_task(job) for job in work]

    async def _stop(self) -> None:
        """Leave nothing behind: what was counted is kept for the next process, connections are closed."""
        self._books.keep([encode_window(window) for window in self._books.close_windows()])
        await asyncio.to_thread(self._books.save, self._settings.home / "windows.json")
        self._refresher.close()
        if self._shared is not None:
            self._shared.close()
        for backend in self._directory.backends:
            backend.retire()

    async def _close_windows(self) -> None:
        while True:
            await asyncio.sleep(self._books.seconds_left())
            closed = self._books.close_windows()
            self._books.keep(await asyncio.to_thread(lambda windows: [*map(encode_window, windows)], closed))

    async def _tidy_connections(self) -> None:
        patience = self._limits.pool_idle_seconds
        while True:
            await asyncio.sleep(patience / 4)
            for backend in self._directory.backends:
                backend.close_idle(self._now() - patience)


def create_app(settings: GatewaySettings, load: Callable[[], Snapshot]) -> Gateway:
    """The gateway as an ASGI application; ``load`` is called in a thread about once a second."""
    return Gateway(settings, load)
