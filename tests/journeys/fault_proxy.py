"""A TCP proxy between a browser and the web server that cuts or silences every connection when it is told to."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

BLOCK = 256 << 10
RATE = 64 << 20  # bytes a second that go up at most: time to do something to a transfer


class FaultProxy:
    """Forwards a free port of the loopback to ``target``; counts what went up, and cuts where it is told to.

    ``cut_at`` holds byte counts of the whole traffic to the server, in order: as each is passed, all connections are
    dropped without a goodbye. At ``silent_at`` they only fall silent for the browser, as when a lid is closed; those
    that it opens afterwards work.
    """

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.rate = RATE
        self.sent_up = 0
        self.cuts = 0
        self.cut_at: list[int] = []
        self.silent_at: list[int] = []
        self.silent: set[asyncio.StreamWriter] = set()
        self.loop = asyncio.new_event_loop()
        self.lines: set[asyncio.StreamWriter] = set()
        self.thread = threading.Thread(target=self._run, name="fault proxy", daemon=True)
        self.is_up = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Drop every connection, now."""
        self.loop.call_soon_threadsafe(self._drop)

    def start(self) -> None:
        self.thread.start()
        self.is_up.wait()

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, limit=BLOCK))
        self.port = server.sockets[0].getsockname()[1]
        self.is_up.set()
        self.loop.run_forever()
        server.close()
        self._drop()
        waiting = asyncio.all_tasks(self.loop)
        for task in waiting:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target, limit=BLOCK)
        except OSError:
            writer.transport.abort()  # the server is away: so is the line
            return
        self.lines |= {writer, up_writer}
        with contextlib.suppress(asyncio.CancelledError):  # at the very end
            await asyncio.gather(self._pipe(reader, up_writer, is_up=True), self._pipe(up_reader, writer, is_up=False))
        self.lines -= {writer, up_writer}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        try:
            while data := await reader.read(BLOCK):
                if is_up:
                    self._count(len(data))
                    await asyncio.sleep(len(data) / self.rate)
                if writer in self.silent:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            if writer in self.silent and not is_up:
                await asyncio.Event().wait()  # the browser is told nothing until the end; the server may know
            writer.close()
            if writer in self.silent:
                await asyncio.Event().wait()

    def _count(self, size: int) -> None:
        self.sent_up += size
        if self.cut_at and self.sent_up >= self.cut_at[0]:
            self.cut_at.pop(0)
            self._drop()
        if self.silent_at and self.sent_up >= self.silent_at[0]:
            self.silent_at.pop(0)
            self.silent |= self.lines

    def _drop(self) -> None:
        self.cuts += 1
        for line in self.lines:
            line.transport.abort()


@contextlib.contextmanager
def between(port: int) -> Iterator[FaultProxy]:
    """A running proxy before the server on ``port``."""
    proxy = FaultProxy(port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
