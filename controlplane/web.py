"""gunicorn's settings for the web process: one process, many threads, since SQLite and the GIL gain nothing from more.

Larger installations say ``--workers`` on the command line, which goes before this file.
"""

import socket

from django.conf import settings
from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):
    """gunicorn's worker, which answers everybody who had connected before it stopped to listen."""

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if not self.alive:
            for listener in self.sockets:
                self._take_in_everybody(listener)
                listener.close()  # it would reset who comes later only at its end; now they are refused, and try again

    def _take_in_everybody(self, listener: socket.socket) -> None:
        before = -1
        while self.nr_conns > before:
            before = self.nr_conns
            self.accept(listener)


bind = f"127.0.0.1:{settings.SLIPWAY_WEB_PORT}"
worker_class = Worker
workers = 1
threads = 16
timeout = 60  # of silence of the whole process; a long upload keeps only its thread
graceful_timeout = 10
keepalive = 75  # longer than a front keeps a connection that it does not use: it shall never find one just closed
control_socket_disable = True
loglevel = "warning"
preload_app = True  # a killed process is replaced by a fork, at once
