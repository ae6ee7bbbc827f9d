"""The one call that everything here is for: from a received request to the model and back."""

import time

from .answers import Encoder, compress, head_lines
from .batching import Batcher, Call, Outcome
from .decoding import Decoder, expand
from .errors import Refusal
from .exchange import Exchange
from .loaders.base import Rejected
from .log import Throttle, first_line
from .manifest import Manifest
from .metrics import Metrics

_failures = Throttle()


class Inference:
    """Answers inference requests once ``open`` has been given something to run them."""

    def __init__(self, manifest: Manifest, metrics: Metrics, max_body: int) -> None:
        self._decoder = Decoder(manifest.signature)
        self._encoder = Encoder(manifest)
        self._metrics = metrics
        self._max_body = max_body
        self._batcher: Batcher | None = None

    def open(self, batcher: Batcher) -> None:
        self._batcher = batcher

    def infer(self, exchange: Exchange) -> None:
        """Read the request and hand it to the model; ``Refusal`` says what is wrong with it."""
        batcher = self._batcher
        if batcher is None:
            raise Refusal(503, "The model is still loading", (("Retry-After", "1"),))
        headers = exchange.headers
        body = exchange.body
        if b"content-encoding" in headers:
            body = expand(body, headers[b"content-encoding"], self._max_body)
        json_size = None
        if b"inference-header-content-length" in headers:
            json_size = _read_json_size(headers[b"inference-header-content-length"], len(body))
        request = self._decoder.decode(body, json_size)
        batcher.submit(Call(request, exchange, time.perf_counter()))
        self._metrics.in_flight += 1

    def finish(self, call: Call, outcome: Outcome) -> None:
        """Send one call's outcome to its client."""
        self._metrics.in_flight -= 1
        exchange = call.exchange
        if isinstance(outcome, Exception):
            exchange.refuse(blame(outcome))
            return
        try:
            body, json_size = self._encoder.encode(call.request, outcome)
        except Exception as error:  # a model may give what JSON cannot hold, and its neighbours still wait
            exchange.refuse(blame(error))
            return
        content_type, lines = head_lines(json_size)
        accepted = exchange.headers.get(b"accept-encoding")
        if accepted is not None:
            body, coding = compress(body, accepted.decode("latin-1"))
            lines += coding
        exchange.answer(body, content_type, 200, lines)


def _read_json_size(value: bytes, total: int) -> int:
    if not value.isdigit() or len(value) > 18 or int(value) > total:
        raise Refusal(400, f"Inference-Header-Content-Length has to be a number of bytes, at most {total} here")
    return int(value)


def blame(error: Exception) -> Refusal:
    """Whose fault a failed run is: the values' (400) or the model's (500, and a line in the log)."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Rejected):
        return Refusal(400, f"The model refused the input: {first_line(error)}")
    _failures.write_log("model_failed", "error", error=first_line(error), kind=type(error).__name__)
    return Refusal(500, f"The model failed on this request: {first_line(error)}")
