"""Who is called with whom.

Requests whose arrays agree in everything but their number of rows are joined, run once and taken apart again. Cheap
models run in the event loop at the end of the tick in which their requests arrived, because handing ten microseconds
of work to a thread costs a hundred. Dear models run in one worker thread; what arrives meanwhile is the next batch.

One bad request does not spoil its neighbours: when a joint run fails, each request of it runs alone.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from .decoding import InferenceRequest
from .errors import Refusal
from .exchange import Exchange
from .metrics import Metrics
from .tensors import Array

Run = Callable[[Sequence[Array]], list[Array]]
Outcome = list[Array] | Exception


@dataclass(frozen=True)
class Plan:
    """How requests are batched: rows at most, seconds that a request may wait for company, requests that may wait."""

    joins: bool
    max_rows: int
    max_delay: float
    max_queue: int


@dataclass(slots=True)
class Call:
    """One request on its way through the model."""

    request: InferenceRequest
    exchange: Exchange
    queued: float  # of time.perf_counter


Finish = Callable[[Call, Outcome], None]


def run_calls(run: Run, calls: Sequence[Call]) -> list[Outcome]:
    """One outcome for each call, in their order. Exceptions are outcomes, never raised."""
    if len(calls) > 1:
        try:
            return list(_run_joined(run, [call.request for call in calls]))
        except Exception:  # one of them is to blame, and running each alone shows which
            pass
    return [_run_alone(run, call.request) for call in calls]


def _run_joined(run: Run, requests: Sequence[InferenceRequest]) -> list[list[Array]]:
    columns = zip(*(request.inputs for request in requests), strict=True)
    outputs = run([np.concatenate(column) for column in columns])
    total = sum(request.rows for request in requests)
    if any(len(array) != total for array in outputs):
        raise ValueError("the model did not give one row for each row")
    parts: list[list[Array]] = []
    start = 0
    for request in requests:
        stop = start + request.rows
        parts.append([array[start:stop] for array in outputs])
        start = stop
    return parts


def _run_alone(run: Run, request: InferenceRequest) -> Outcome:
    try:
        return run(request.inputs)
    except Exception as error:  # the model's own failure belongs to this request alone
        return error


def take_batch(queue: deque[Call], plan: Plan) -> list[Call]:
    """Remove and return the oldest call and those right behind it that can be joined with it."""
    first = queue.popleft()
    calls = [first]
    if not plan.joins or not first.request.rows:
        return calls
    rows = first.request.rows
    key = first.request.key
    while queue:
        request = queue[0].request
        rows += request.rows
        if rows > plan.max_rows or request.key != key or not request.rows:
            break
        calls.append(queue.popleft())
    return calls


class Batcher(ABC):
    """Runs calls, tells ``finish`` their outcomes, and records how long they waited and how long the model took."""

    def __init__(self, run: Run, plan: Plan, finish: Finish, metrics: Metrics) -> None:
        self._run = run
        self._finish_call = finish
        self._plan = plan
        self._metrics = metrics
        self._queue: deque[Call] = deque()
        self._loop = asyncio.get_running_loop()

    @abstractmethod
    def submit(self, call: Call) -> None:
        """Take a call, whose outcome follows in the event loop. ``Refusal`` when too many wait already."""

    def _settle(self, calls: Sequence[Call], outcomes: Sequence[Outcome], started: float, seconds: float) -> None:
        metrics = self._metrics
        metrics.compute.observe(seconds)
        metrics.batch.observe(sum(call.request.rows for call in calls) or 1)
        for call, outcome in zip(calls, outcomes, strict=True):
            metrics.queue.observe(started - call.queued)
            self._finish_call(call, outcome)


class InlineBatcher(Batcher):
    """Runs everything that arrived in one tick of the event loop at its end, in the loop itself."""

    def submit(self, call: Call) -> None:
        if not self._queue:
            self._loop.call_soon(self._flush)
        self._queue.append(call)

    def _flush(self) -> None:
        queue = self._queue
        while queue:
            calls = take_batch(queue, self._plan)
            started = time.perf_counter()
            outcomes = run_calls(self._run, calls)
            self._settle(calls, outcomes, started, time.perf_counter() - started)


class ThreadBatcher(Batcher):
    """Runs one batch at a time in a thread and collects the next one meanwhile."""

    def __init__(self, run: Run, plan: Plan, finish: Finish, metrics: Metrics, pool: ThreadPoolExecutor) -> None:
        super().__init__(run, plan, finish, metrics)
        self._pool = pool
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, call: Call) -> None:
        if len(self._queue) >= self._plan.max_queue:
            raise Refusal(503, f"{len(self._queue)} requests are waiting already", (("Retry-After", "1"),))
        self._queue.append(call)
        self._next()

    def _next(self) -> None:
        """Start the next batch, unless the thread is busy or a fuller batch is worth waiting for."""
        self._drop_abandoned()
        if self._busy or not self._queue:
            return
        wait = self._queue[0].queued + self._plan.max_delay - time.perf_counter()
        waiting = sum(call.request.rows for call in self._queue) if wait > 0 else 0
        if wait > 0 and self._plan.joins and waiting < self._plan.max_rows:
            if self._timer is None:
                self._timer = self._loop.call_later(wait, self._wake)
            return
        self._busy = True
        calls = take_batch(self._queue, self._plan)
        started = time.perf_counter()
        task = self._loop.run_in_executor(self._pool, _run_timed, self._run, calls)
        task.add_done_callback(lambda done: self._finish(calls, started, done))

    def _wake(self) -> None:
        self._timer = None
        self._next()

    def _finish(self, calls: Sequence[Call], started: float, done: "asyncio.Future[Any]") -> None:
        self._busy = False
        outcomes, seconds = done.result()
        self._settle(calls, outcomes, started, seconds)
        self._next()

    def _drop_abandoned(self) -> None:
        """Spare the model what nobody waits for any more."""
        while self._queue and self._queue[0].exchange.is_abandoned:
            call = self._queue.popleft()
            self._finish_call(call, Refusal(499, "The client has gone"))


def _run_timed(run: Run, calls: Sequence[Call]) -> tuple[list[Outcome], float]:
    started = time.perf_counter()
    outcomes = run_calls(run, calls)
    return outcomes, time.perf_counter() - started
