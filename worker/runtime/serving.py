"""From a bundle on disk to a server that answers, and its orderly end.

The socket is served from the first moment on, so that liveness can be told from readiness while a large model loads.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import uvloop

from .application import Application
from .batching import Batcher, InlineBatcher, ThreadBatcher
from .errors import StartError
from .loaders.registry import load_model
from .log import write_log
from .manifest import Manifest, read_manifest, verify_file
from .server import Server, open_socket
from .settings import Settings, read_settings
from .warmup import Trial, try_model

EXIT_PERMANENT = os.EX_CONFIG  # 78: starting the same again cannot help
EXIT_TEMPORARY = os.EX_TEMPFAIL  # 75: it may


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    try:
        settings = read_settings()
        manifest = read_manifest(settings.bundle)
        return uvloop.run(serve(settings, manifest, open_socket(settings.listen)))
    except StartError as error:
        return report_start_failure(error)


def check() -> int:
    """Load the model and replay its golden sample as a start would, and end; one line of the log tells the outcome."""
    try:
        settings = read_settings()
        detail, trial = _prepare(settings, read_manifest(settings.bundle))
    except StartError as error:
        return report_start_failure(error)
    replay = trial.replay
    write_log(
        "checked",
        runs_with=detail,
        row_ms=round(trial.seconds * 1000, 4),
        is_replayed=replay is not None,
        worst=replay.worst if replay else None,
        output=replay.output if replay else "",
    )
    return 0


def report_start_failure(error: StartError) -> int:
    """One line for people on standard error, one for programs on standard output; the exit status to end with."""
    reason = str(error)
    write_log("cannot_start", "error", reason=reason, **error.facts)
    visible = "".join(char if char.isprintable() else " " for char in reason)
    print(f"slipway-runtime: cannot start: {visible}", file=sys.stderr, flush=True)
    return EXIT_PERMANENT if error.permanent else EXIT_TEMPORARY


async def serve(settings: Settings, manifest: Manifest, sock: socket.socket) -> int:
    """Listen, load, answer, and drain on SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    application = Application(settings, manifest)
    server = Server(settings, application)
    await server.start(sock)
    write_log("listening", address=_address(sock), model=manifest.model, version=manifest.version, pid=os.getpid())
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
    stopping = asyncio.create_task(stop.wait())
    preparing = asyncio.create_task(_become_ready(settings, manifest, application, pool))
    await asyncio.wait({stopping, preparing}, return_when=asyncio.FIRST_COMPLETED)
    if preparing.done():
        preparing.result()
        await stopping
    application.phase = "draining"
    write_log("draining", seconds=settings.drain_seconds)
    await server.drain(settings.drain_seconds)
    return 0


async def _become_ready(
    settings: Settings, manifest: Manifest, application: Application, pool: ThreadPoolExecutor
) -> None:
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    detail, trial = await loop.run_in_executor(pool, _prepare, settings, manifest)
    application.inference.open(_make_batcher(trial, application, pool))
    # What the libraries and the model brought stays for good: the collector need not look through it again and again.
    gc.collect()
    gc.freeze()
    application.phase = "ready"
    write_log(
        "ready",
        model=manifest.model,
        version=manifest.version,
        seconds=round(time.monotonic() - started, 3),
        runs_with=detail,
        row_ms=round(trial.seconds * 1000, 4),
        inline=trial.is_cheap,
        joins_rows=trial.plan.joins,
    )


def _prepare(settings: Settings, manifest: Manifest) -> tuple[str, Trial]:
    verify_file(manifest)
    model = load_model(manifest, settings.threads)
    return model.detail, try_model(model, manifest)


def _make_batcher(trial: Trial, application: Application, pool: ThreadPoolExecutor) -> Batcher:
    if trial.is_cheap:
        return InlineBatcher(trial.run, trial.plan, application.inference.finish, application.metrics)
    return ThreadBatcher(trial.run, trial.plan, application.inference.finish, application.metrics, pool)


def _address(sock: socket.socket) -> str:
    name = sock.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)
