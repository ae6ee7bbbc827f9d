"""A replica in a process of its own, so that it can be killed: it holds every answer back until it is released.

``python -m tests.faults.replica PORT NOTES`` serves until it is killed, and prints the port first (0 for any). The
request id of a call is in the file NOTES before anything else is done about the call.
"""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from apps.gateway.tables import Replica
from tests.gateway.replicas import Asked, StandIn, answer_well, compose


@dataclass
class ReplicaProcess:
    notes: Path
    port: int
    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, notes: Path, port: int = 0) -> "ReplicaProcess":
        command = [sys.executable, "-m", "tests.faults.replica", str(port), str(notes)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        with process.stdout as said:
            return cls(notes, int(said.readline()), process)

    def as_replica(self) -> Replica:
        return StandIn(answer_well, port=self.port).as_replica()

    def asked(self) -> Counter[str]:
        """How often each call came here, by its request id."""
        return Counter(self.notes.read_text().split())

    def release(self) -> None:
        """From now on it answers at once, as it does all who wait."""
        self.process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


async def serve(port: int, notes: Path) -> None:
    is_released = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, is_released.set)
    with notes.open("ab", buffering=0) as file:

        async def answer_late(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            file.write(asked.headers["x-request-id"].encode() + b"\n")
            await is_released.wait()
            writer.write(compose())

        server = await asyncio.start_server(StandIn(answer_late).serve, "127.0.0.1", port, backlog=4096)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
