"""A PostgreSQL server of our own for as long as a command runs: ``python -m tests.postgresql <command …>``.

The command finds its address in ``SLIPWAY_DATABASE_URL``, and the whole suite can run on it.
"""

import os
import subprocess
import sys

from tests.engines.databases import serve

__all__ = ["serve"]

if __name__ == "__main__":
    with serve() as url:
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "SLIPWAY_DATABASE_URL": url}, check=False).returncode)
