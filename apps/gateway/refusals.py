"""Why a call is not served, and how that is said: the protocol's error object."""

import orjson

CLOSE = (b"connection", b"close")


class Refusal(Exception):
    """An answer that the gateway gives by itself.

    ``kind`` is a stable word for the books; ``retry_after`` is in whole seconds.
    """

    def __init__(self, status: int, message: str, kind: str, *, retry_after: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.retry_after = retry_after

    @property
    def body(self) -> bytes:
        return orjson.dumps({"error": self.message})

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        headers = [(b"content-type", b"application/json")]
        if self.retry_after:
            headers.append((b"retry-after", b"%d" % self.retry_after))
        if self.status == 408:
            headers.append(CLOSE)
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        return headers


class ClientGone(Exception):
    """Nobody waits for an answer any more."""


def unauthorized() -> Refusal:
    return Refusal(401, "a valid API key is needed: Authorization: Bearer <key>", "unauthorized")


def not_found() -> Refusal:
    return Refusal(404, "there is nothing at this address", "not_found")


def not_routed(model: str, version: str) -> Refusal:
    return Refusal(404, f"this endpoint does not serve version '{version}' of a model '{model}'", "not_found")


def forbidden() -> Refusal:
    return Refusal(403, "this key has no scope to call this endpoint", "forbidden")


def malformed(why: str) -> Refusal:
    return Refusal(400, f"malformed request: {why}", "malformed")


def wrong_method(wanted: str) -> Refusal:
    return Refusal(405, f"this address takes {wanted} only", "wrong_method")


def too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than the {limit} bytes that this endpoint takes", "body_too_large")


def too_many(message: str, kind: str, retry_after: float) -> Refusal:
    return Refusal(429, message, kind, retry_after=max(1, -int(-retry_after // 1)))


def too_slow() -> Refusal:
    return Refusal(408, "the request did not arrive in time; send it again", "client_timeout")


def overdue(seconds: float) -> Refusal:
    return Refusal(504, f"the model did not answer within {seconds:g} seconds", "timeout")


def no_replica() -> Refusal:
    return Refusal(503, "no replica is ready; try again shortly", "no_replica", retry_after=1)


def unreachable() -> Refusal:
    return Refusal(503, "no replica can be reached; try again shortly", "connect", retry_after=1)


def broken_off() -> Refusal:
    return Refusal(502, "the replica broke off before it had answered; try again", "reset", retry_after=1)


def overloaded() -> Refusal:
    return Refusal(503, "the gateway has too many calls in flight; try again shortly", "overloaded", retry_after=1)


def failed() -> Refusal:
    return Refusal(500, "the gateway failed; the operators can find this request by its id", "internal")
