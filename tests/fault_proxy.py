"""A TCP proxy before a server, on which connections break in whatever way it is told to."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

BLOCK = 256 << 10
AT_ONCE = struct.pack("ii", 1, 0)  # a socket that lingers so is reset when it is closed
HANG_SECONDS = 0.05  # until it is seen that it hangs no more
RATE = 64 << 20  # bytes a second that go up at most: time to do something to a transfer


class FaultProxy:
    """Forwards what comes to ``listener`` to ``target``; counts what went up, and breaks where it is told to.

    ``cut_at`` holds byte counts of the whole traffic to the server, in order: as each is passed, all connections are
    dropped without a goodbye. At ``silent_at`` they only fall silent for the browser, as when a lid is closed; those
    that it opens afterwards work. ``most_each`` is how much of one connection goes up until it is reset. While
    ``is_hanging``, all that comes is taken and goes nowhere; it arrives late.
    """

    def __init__(self, listener: socket.socket, target: tuple[str, int]) -> None:
        self.listener, self.target = listener, target
        self.port: int = listener.getsockname()[1]
        self.rate = RATE
        self.sent_up = 0
        self.cuts = 0
        self.cut_at: list[int] = []
        self.silent_at: list[int] = []
        self.silent: set[asyncio.StreamWriter] = set()
        self.most_each: int | None = None
        self.is_hanging = False
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
        server = self.loop.run_until_complete(asyncio.start_server(self._serve, sock=self.listener, limit=BLOCK))
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
            up_reader, up_writer = await asyncio.open_connection(*self.target, limit=BLOCK)
        except OSError:
            writer.transport.abort()  # the server is away: so is the line
            return
        self.lines |= {writer, up_writer}
        with contextlib.suppress(asyncio.CancelledError):  # at the very end
            await asyncio.gather(self._pipe(reader, up_writer, back=writer), self._pipe(up_reader, writer))
        self.lines -= {writer, up_writer}

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter | None = None
    ) -> None:
        """On the way up with the line on which the answer goes ``back``. What is silent stays so until the end."""
        with contextlib.suppress(OSError):
            if await self._forward(reader, writer, back):
                return
        if writer in self.silent and back is None:
            await asyncio.Event().wait()  # the browser is told nothing; the server may know
        writer.close()
        if writer in self.silent:
            await asyncio.Event().wait()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter | None
    ) -> bool:
        """Everything that comes, until there is no more or the line falls silent; whether it was reset instead."""
        passed = 0
        while data := await reader.read(BLOCK):
            while self.is_hanging:
                await asyncio.sleep(HANG_SECONDS)
            passed += len(data)
            if back is not None:
                self._count(len(data))
                await asyncio.sleep(len(data) / self.rate)
                if self.most_each is not None and passed > self.most_each:
                    reset(writer, back)
                    return True
            if writer in self.silent:
                break
            writer.write(data)
            await writer.drain()
        return False

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


def reset(*lines: asyncio.StreamWriter) -> None:
    for line in lines:
        if not line.is_closing():
            line.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
        line.transport.abort()


@contextlib.contextmanager
def between(listener: socket.socket, target: tuple[str, int]) -> Iterator[FaultProxy]:
    """A running proxy before the server at ``target``."""
    proxy = FaultProxy(listener, target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()


@contextlib.contextmanager
def before_port(port: int) -> Iterator[FaultProxy]:
    """The same on the loopback."""
    with between(socket.create_server(("127.0.0.1", 0)), ("127.0.0.1", port)) as proxy:
        yield proxy
