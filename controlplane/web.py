"""gunicorn's settings for the web process: one process, many threads, since SQLite and the GIL gain nothing from more.

Larger installations say ``--workers`` on the command line, which goes before this file.
"""

from django.conf import settings

bind = f"127.0.0.1:{settings.SLIPWAY_WEB_PORT}"
worker_class = "gthread"
workers = 1
threads = 16
timeout = 60  # of silence of the whole process; a long upload keeps only its thread
graceful_timeout = 10
keepalive = 75  # longer than a front keeps a connection that it does not use: it shall never find one just closed
control_socket_disable = True
loglevel = "warning"
preload_app = True  # a killed process is replaced by a fork, at once
