"""``python -m slipway_runtime``: serve the bundle that the environment names; with ``check`` only try it."""

import importlib
import os
import sys

EXIT_PERMANENT = os.EX_CONFIG


def start() -> int:
    """Set how many threads the numeric libraries make, which they read once on import, and serve."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, os.environ.get("SLIPWAY_THREADS") or "1")
    try:
        serving = importlib.import_module(".serving", __package__)
    except ImportError as error:
        print(f"slipway-runtime: cannot start: the environment is incomplete: {error}", file=sys.stderr)
        return EXIT_PERMANENT
    status: int = serving.check() if sys.argv[1:] == ["check"] else serving.main()
    return status


if __name__ == "__main__":
    status = start()
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread inside a model cannot be interrupted, and a regular exit would wait for it.
    os._exit(status)
