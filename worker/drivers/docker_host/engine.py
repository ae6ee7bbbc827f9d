"""One conversation with one Docker engine: its HTTP API, version 1.41 (Docker 20.10) or later.

https://docs.docker.com/reference/api/engine/version/v1.41/
"""

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from worker.drivers.docker_host.wires import Wire, lay
from worker.errors import ToolError
from worker.specs import Message, gettext_noop

Json = Any
ANSWER_SECONDS = 15.0
_API = "/v1.41"
_LARGEST = 32 << 20  # bytes of an answer

_AWAY = gettext_noop("%(host)s does not answer: %(reason)s. Look whether the machine and its Docker engine run.")
_SILENT = gettext_noop(
    "%(host)s does not answer in time. Look whether the machine runs, and whether a firewall drops what is sent to it."
)
_CLOSED = gettext_noop(
    "%(host)s refuses connections. The machine runs, but nothing listens there: start its Docker engine, or correct"
    " the port."
)
_STRANGER = gettext_noop(
    "%(host)s shows a certificate that the target's authority does not vouch for (%(reason)s). It may be another"
    " machine, or its certificate was renewed: correct the authority, or the address that the certificate is for."
)
_NOT_LET_IN = gettext_noop(
    "%(host)s does not accept our certificate (%(reason)s). Have the client's certificate signed by the authority that"
    " the engine was started with (--tlscacert)."
)
_OTHER_KEY = gettext_noop(
    "%(host)s shows another SSH key than the pinned one, so nothing was sent to it. If the machine was installed anew,"
    " give the target its new key."
)
_SSH_DENIED = gettext_noop(
    "%(host)s does not accept our SSH key: %(reason)s. Add its public half to the user's authorized_keys there, and the"
    " user to the group docker."
)
_REFUSED = gettext_noop("%(host)s refused: %(reason)s.")


class Refused(ToolError):
    """The engine answered, and said no; ``status`` is HTTP's."""

    def __init__(self, host: str, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        words = Message(_REFUSED, {"host": host, "reason": reason[:500]})
        super().__init__(words, kind="refused", permanent=False, log=reason[:500])


class Engine:
    """Speaks to one engine over one connection that is kept open; not for two threads at once."""

    def __init__(self, name: str, url: str, secrets: Mapping[str, str]) -> None:
        self.name = name
        self._wire: Wire = lay(url, secrets)
        self._line: http.client.HTTPConnection | None = None

    @property
    def address(self) -> str:
        """Where ports that the host's containers publish are reached from here."""
        return self._wire.address

    def get(self, path: str, **query: Any) -> Json:
        return self.call("GET", path, query)

    def post(self, path: str, body: Json = None, **query: Any) -> Json:
        return self.call("POST", path, query, body)

    def delete(self, path: str, **query: Any) -> Json:
        return self.call("DELETE", path, query)

    def call(
        self, method: str, path: str, query: Mapping[str, Any], body: Json = None, seconds: float = ANSWER_SECONDS
    ) -> Json:
        """The answer as JSON, or as bytes where it is none; ToolError ``Refused`` from status 400 up."""
        with self.asked(method, path, query, body, seconds=seconds) as response:
            data = response.read(_LARGEST)
            is_json = response.headers.get_content_type() == "application/json"
        return json.loads(data) if is_json and data else data

    @contextlib.contextmanager
    def asked(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Json = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> Iterator[http.client.HTTPResponse]:
        """The open answer, for what comes as a stream; ``seconds`` is how long the engine may be silent."""
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if body is not None else {})}
        target = f"{_API}{quote(path, safe='/:@')}" + (f"?{urlencode(_plain(query))}" if query else "")
        payload = None if body is None else json.dumps(body).encode()
        with self._told():
            response = self._send(method, target, payload, sent, seconds)
            try:
                if response.status >= 400:
                    raise Refused(self.name, response.status, _reason(response.read(65536)))
                yield response
            finally:
                if not response.isclosed():  # left in the middle: the rest would be taken for the next answer
                    self.close_line()

    @contextlib.contextmanager
    def attached(self, path: str, **query: Any) -> Iterator[socket.socket]:
        """A connection of its own that the engine turned into a container's streams; closed at the end."""
        line = _Line(self._wire, ANSWER_SECONDS)
        target = f"{_API}{quote(path, safe='/:@')}?{urlencode(_plain(query))}"
        with self._told(), contextlib.closing(line):
            line.putrequest("POST", target)
            for name, value in (("Connection", "Upgrade"), ("Upgrade", "tcp"), ("Content-Length", "0")):
                line.putheader(name, value)
            line.endheaders()
            response = line.response_class(line.sock, method="POST")
            response.begin()
            if response.status not in (101, 200):
                raise Refused(self.name, response.status, _reason(response.read(65536)))
            yield line.sock

    def close_line(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def close(self) -> None:
        self.close_line()
        self._wire.close()

    def _send(
        self, method: str, target: str, payload: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> http.client.HTTPResponse:
        is_used = self._line is not None
        try:
            return self._try(method, target, payload, headers, seconds)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close_line()
            if not is_used or method != "GET":
                raise
            return self._try(method, target, payload, headers, seconds)  # it had closed a line that was long silent

    def _try(
        self, method: str, target: str, payload: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> http.client.HTTPResponse:
        if self._line is None:
            self._line = _Line(self._wire, seconds)
        elif self._line.sock is not None:
            self._line.sock.settimeout(seconds)
        self._line.request(method, target, payload, dict(headers))
        return self._line.getresponse()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """What goes wrong on the way is said in words, with a kind for each cause that a person mends differently."""
        try:
            yield
        except ToolError:
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close_line()
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> ToolError:
        complaint = self._wire.complaint()
        kind, words, reason = _classify(error, complaint)
        return ToolError(Message(words, {"host": self.name, "reason": reason[:300]}), kind=kind, log=complaint)


class _Line(http.client.HTTPConnection):
    """HTTP over whatever socket the wire opens."""

    def __init__(self, wire: Wire, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._wire, self._seconds = wire, seconds

    def connect(self) -> None:
        self.sock = self._wire.open(self._seconds)


def _classify(error: Exception, complaint: str) -> tuple[str, str, str]:
    """Kind, words and reason of what kept us from the engine."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls_untrusted", _STRANGER, error.verify_message
    if isinstance(error, ssl.SSLError) and "ALERT" in str(error.reason):
        return "tls_refused", _NOT_LET_IN, str(error.reason).lower().replace("_", " ")
    if isinstance(error, ssl.SSLEOFError):  # the same, where it hung up before we had read why
        return "tls_refused", _NOT_LET_IN, "it hung up once it had seen it"
    if "host key" in complaint.lower():
        return "ssh_host_key", _OTHER_KEY, complaint
    if "permission denied" in complaint.lower():
        return "ssh_denied", _SSH_DENIED, complaint
    if isinstance(error, TimeoutError) or "timed out" in complaint:
        return "unreachable", _SILENT, ""
    if isinstance(error, ConnectionRefusedError) or "refused" in complaint:
        return "unreachable", _CLOSED, ""
    return "unreachable", _AWAY, complaint or getattr(error, "strerror", None) or str(error) or type(error).__name__


def _plain(query: Mapping[str, Any]) -> dict[str, str]:
    """Values as Docker writes them: lists and mappings as JSON, truth as 1 and 0."""
    return {
        name: json.dumps(value)
        if isinstance(value, dict | list)
        else str(int(value) if isinstance(value, bool) else value)
        for name, value in query.items()
    }


def _reason(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip()
