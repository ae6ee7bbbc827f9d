"""The exchange with a replica: small bodies are held and can be sent again, larger ones stream in both directions."""

import asyncio
from collections import Counter
from typing import NamedTuple

from apps.gateway.calls import Call, Phase
from apps.gateway.config import Limits
from apps.gateway.refusals import ClientGone, broken_off, no_replica, not_routed, too_large, unreachable
from apps.gateway.replicas import Backend
from apps.gateway.requests import UNKNOWN_LENGTH, Address, Head
from apps.gateway.routing import Choices, LiveEndpoint, LiveRoute
from apps.gateway.upstream import Connection, Dropped, ReplicaError, Unreachable

MOST_ATTEMPTS = 3
_BAD_GATEWAYS = frozenset({502, 503, 504})
_DECLINED = 503  # the replica loads, drains or has too much to do, and has done nothing with the call


class Question(NamedTuple):
    """What is sent to a replica. ``body`` is all of it, or its beginning where the rest is still to come."""

    line: bytes
    headers: bytes
    body: bytes
    is_whole: bool
    length: int
    most: int
    patience: float  # seconds that a replica may take before it answers
    may_repeat: bool  # nothing is lost or done twice by asking again, even where a replica may have worked on it


class Forwarder:
    """Carries calls to replicas and answers back. ``events`` counts what happened beside the plain success."""

    def __init__(self, limits: Limits, events: Counter[str]) -> None:
        self._limits = limits
        self._events = events
        self._loop = asyncio.get_running_loop()

    async def forward(self, call: Call, endpoint: LiveEndpoint, address: Address, head: Head) -> None:
        """Answer the call from a replica; raises Refusal where none could, as long as nothing was answered.

        A call goes to another replica where that is safe: no connection came about, so nothing was seen of it; the
        replica declined with 503, and the body is still at hand; or it broke off, and the endpoint's calls may be
        repeated, too (then once). Where there is no other, what a replica said that declined is the answer.
        """
        version = address.version
        choices = endpoint.of_version(address.model, version) if version else endpoint.everything
        if choices is None:
            raise not_routed(address.model, version)
        question = await self._read_question(call, endpoint, address, head)
        call.wait_for(Phase.REPLICA, self._loop.time() + question.patience)
        route = endpoint.choose(choices, call.request_id)
        backend = route.choose(self._loop.time()) if route else None
        if route is None or backend is None:
            raise no_replica()
        tried: list[Backend] = []
        while True:
            try:
                declined = await self._exchange(call, route, backend, question)
            except ReplicaError as error:
                tried.append(backend)
                if call.has_begun:
                    raise
                is_safe = isinstance(error, Unreachable) or (question.may_repeat and len(tried) == 1)
                choice = self._choose_again(endpoint, choices, route, tried) if is_safe else None
                if choice is None:
                    raise (unreachable() if isinstance(error, Unreachable) else broken_off()) from error
            else:
                tried.append(backend)
                choice = self._choose_again(endpoint, choices, route, tried) if declined else None
                if choice is None:
                    if declined:
                        await call.answer(_DECLINED, *declined)
                    self._events["masked"] += len(tried) > 1 and not declined
                    return
            route, backend = choice

    def _choose_again(
        self, endpoint: LiveEndpoint, choices: Choices, route: LiveRoute, tried: list[Backend]
    ) -> tuple[LiveRoute, Backend] | None:
        """Another replica, as far as there is one and second attempts are left."""
        if len(tried) < MOST_ATTEMPTS:
            choice = endpoint.second_choice(choices, route, self._loop.time(), tried)
            if choice is not None and endpoint.take_retry():
                self._events["retries"] += 1
                return choice
        return None

    # --- the request ---------------------------------------------------------------------------------------------

    async def _read_question(self, call: Call, endpoint: LiveEndpoint, address: Address, head: Head) -> Question:
        length, most = head.length, endpoint.about.max_body
        if length > most:
            raise too_large(most)
        body, is_whole = (b"", True) if length == 0 else await self._read_body(call, length, most)
        if is_whole:
            call.has_been_read = True
            length = len(body)
        framing = b"transfer-encoding: chunked" if length == UNKNOWN_LENGTH else b"content-length: %d" % length
        versions = endpoint.tell_versions(address.model) if address.is_metadata else b""
        return Question(
            b"%s %s HTTP/1.1\r\n" % (address.method.encode(), address.path),
            b"x-request-id: %s\r\n%s%s%s\r\n\r\n" % (call.request_id, head.forwarded, versions, framing),
            body,
            is_whole,
            length,
            most,
            endpoint.about.timeout_seconds,
            is_whole and (endpoint.about.idempotent or address.method == "GET"),
        )

    async def _read_body(self, call: Call, length: int, most: int) -> tuple[bytes, bool]:
        """The body and whether that is all of it: of one longer than the buffer, only what has come already."""
        body, more = await self._receive(call, 0, most)
        while more and length <= self._limits.buffer_bytes and len(body) <= self._limits.buffer_bytes:
            self._wait_for_client(call, length, most)
            part, more = await self._receive(call, len(body), most)
            body += part
        return body, not more

    async def _receive(self, call: Call, before: int, most: int) -> tuple[bytes, bool]:
        message = await call.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message["body"]
        call.bytes_in += len(body)
        if before + len(body) > most:
            raise too_large(most)
        return body, message["more_body"]

    def _wait_for_client(self, call: Call, length: int, most: int) -> None:
        limits = self._limits
        size = most if length == UNKNOWN_LENGTH else length
        finish = call.started + limits.body_seconds + size / limits.slowest_rate
        call.wait_for(Phase.CLIENT, min(finish, self._loop.time() + limits.body_idle_seconds))

    # --- one attempt ---------------------------------------------------------------------------------------------

    async def _exchange(
        self, call: Call, route: LiveRoute, backend: Backend, question: Question
    ) -> tuple[list[tuple[bytes, bytes]], bytes] | None:
        """Ask one replica and pass its answer on; or return the answer of one that declined, which nobody has seen."""
        meter = call.meter = route.meter
        call.release = route.release
        call.is_routed = True
        connection: Connection | None = None
        meter.begin()
        backend.in_flight += 1
        try:
            connection = backend.take_idle() or await backend.connect()
            if not await self._ask(call, connection, backend, question):
                connection = await backend.connect()
                await self._ask(call, connection, backend, question)
            self._note_status(connection.status, route, backend)
            answer = None
            if connection.status == _DECLINED and connection.is_complete and question.is_whole:
                answer = connection.headers, connection.body
            else:
                await self._relay(call, connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, ReplicaError) or call.cut is Phase.REPLICA:
                self._note_failure(getattr(error, "kind", "timeout"), route, backend)
            raise
        else:
            backend.give_back(connection, self._loop.time())
            return answer
        finally:
            backend.in_flight -= 1
            meter.end()

    async def _ask(self, call: Call, connection: Connection, backend: Backend, question: Question) -> bool:
        """Whether there is an answer; False where a kept connection was dead already, and another may be tried."""
        try:
            if question.is_whole:
                await connection.ask(question.line + backend.head + question.headers + question.body)
            else:
                connection.ask(question.line + backend.head + question.headers)
                await self._upload(call, connection, question)
        except Dropped:
            if question.may_repeat and connection.uses > 1 and not connection.status:
                return False
            raise
        return True

    async def _upload(self, call: Call, connection: Connection, question: Question) -> None:
        """Pass the body on as it comes. A replica that answers before it has heard all is not told the rest."""
        connection.answered.add_done_callback(call.interrupt)
        call.is_interruptible = True
        try:
            await self._pass_on(call, connection, question)
        except asyncio.CancelledError:
            if call.cut or not connection.answered.done():
                raise
            call.task.uncancel()
            connection.spoil()
        finally:
            call.is_interruptible = False
        call.has_been_read = True
        call.wait_for(Phase.REPLICA, self._loop.time() + question.patience)
        await connection.answered

    async def _pass_on(self, call: Call, connection: Connection, question: Question) -> None:
        is_chunked = question.length == UNKNOWN_LENGTH
        body, more, passed = question.body, True, 0
        while True:
            passed += len(body)
            if body:
                call.wait_for(Phase.REPLICA, self._loop.time() + question.patience)
                await connection.send(b"%x\r\n%s\r\n" % (len(body), body) if is_chunked else body)
            if not more:
                break
            self._wait_for_client(call, question.length, question.most)
            body, more = await self._receive(call, passed, question.most)
        if is_chunked:
            await connection.send(b"0\r\n\r\n")

    # --- the answer ----------------------------------------------------------------------------------------------

    async def _relay(self, call: Call, connection: Connection) -> None:
        headers = connection.headers
        if connection.is_complete:
            await call.answer(connection.status, headers, connection.body)
            return
        if connection.length is not None:
            headers.append((b"content-length", b"%d" % connection.length))
        patience = self._limits.answer_idle_seconds
        call.wait_for(Phase.ANSWER, self._loop.time() + patience)
        await call.begin(connection.status, headers)
        while chunk := await connection.next_chunk():
            call.until = self._loop.time() + patience
            await call.write(chunk, more=True)
        await call.write(b"", more=False)

    # --- what was learnt -----------------------------------------------------------------------------------------

    def _note_status(self, status: int, route: LiveRoute, backend: Backend) -> None:
        if status < 500:
            backend.note_success()
        elif status in _BAD_GATEWAYS:
            self._note_failure("answered_5xx", route, backend)
        else:
            backend.note_success()
            route.meter.note_error("answered_5xx")

    def _note_failure(self, kind: str, route: LiveRoute, backend: Backend) -> None:
        route.meter.note_error(kind)
        if backend.note_failure(route.backends, self._loop.time()):
            self._events["ejections"] += 1
