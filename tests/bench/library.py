"""Server time of the library with 10,000 versions in 100 models, on SQLite and PostgreSQL, with MLflow beside it.

``python -m tests.bench.library [--rounds 60] [--only sqlite|postgresql] [--mlflow-python PATH]``. Everything is
measured alike: through a whole stack of middleware in one process, without a network, on the database that each keeps.
Goals are held against the quickest tenth on the clock, which is what a request takes when no neighbour on a busy
machine has its turn; the median, the 99th percentile and the processor time of the process stand beside it. PostgreSQL
is left out where its programs are not installed; so is MLflow unless ``--mlflow-python`` or ``SLIPWAY_BENCH_MLFLOW``
names the Python of an environment that has it, since nothing of ours depends on it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.engines import find
from tests.postgresql import serve

GOALS_MS = {
    "api: one version": 8.0,
    "api: page of 100 versions": 15.0,
    "api: 100 models with their latest version": 20.0,
    "api: create a version": 10.0,
}
GOAL_PAGE_MS = 100.0
PEERS = {  # what of ours is compared with what of MLflow's
    "api: one version": "model-versions/get",
    "api: page of 100 versions": "model-versions/search name max=100",
    "api: 100 models with their latest version": "registered-models/search max=100",
    "api: create a version": "model-versions/create",
}
FOLDER = Path(__file__).parent


class Times(NamedTuple):
    """Milliseconds of a request: 10th, 50th and 99th percentile on the clock, and the median of work."""

    quiet: float
    wall: float
    worst: float
    work: float


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--only", choices=["sqlite", "postgresql"])
    options.add_argument("--mlflow-python", default=os.environ.get("SLIPWAY_BENCH_MLFLOW", ""))
    asked = options.parse_args()
    if not asked.mlflow_python:
        print("MLflow is not measured: name the Python that has it with --mlflow-python or SLIPWAY_BENCH_MLFLOW.")
    missed = 0
    for name in [asked.only] if asked.only else ["sqlite", "postgresql"]:
        if name == "postgresql" and not find("postgresql"):
            print("PostgreSQL is not measured: its programs are not installed.")
            continue
        ours = measure([sys.executable, "-m", "tests.bench.library_ours"], name, asked.rounds)
        script = [asked.mlflow_python, str(FOLDER / "library_mlflow.py")]
        theirs = measure(script, name, asked.rounds) if asked.mlflow_python else {}
        missed += report(name, ours, theirs)
    return min(missed, 1)


def measure(command: list[str], database: str, rounds: int) -> dict[str, Times]:
    """What a measuring program prints, run on a fresh database of this kind."""
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as home, fresh(database, home) as url:
        env = {**os.environ, "SLIPWAY_HOME": home, "SLIPWAY_DATABASE_URL": url, "PYTHONWARNINGS": "ignore"}
        theirs = url.replace("postgres://", "postgresql+psycopg2://")  # the driver that is ours, too
        env |= {"_MLFLOW_SERVER_FILE_STORE": theirs, "_MLFLOW_SERVER_REGISTRY_STORE": theirs}
        env |= {"_MLFLOW_SERVER_ARTIFACT_ROOT": home, "MLFLOW_LOGGING_LEVEL": "ERROR"}
        done = subprocess.run([*command, str(rounds)], env=env, check=True, stdout=subprocess.PIPE, text=True)
    return {name: Times(*times) for name, times in json.loads(done.stdout.splitlines()[-1]).items()}


@contextmanager
def fresh(database: str, home: str) -> Iterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{home}/bench.sqlite3"
    else:
        with serve() as url:
            yield url


def report(name: str, ours: dict[str, Times], theirs: dict[str, Times]) -> int:
    """Print the table; how many miss their goal."""
    print(f"\n{name}: 10,000 versions in 100 models; milliseconds a request")
    print(f"  {'':<44}{'p10':>8}{'median':>8}{'p99':>8}{'work':>8}{'goal':>8}   MLflow (p10, median, p99, work)")
    missed = 0
    for what, times in ours.items():
        goal = GOALS_MS.get(what, GOAL_PAGE_MS)
        missed += times.quiet > goal
        peer = theirs.get(PEERS.get(what, ""))
        beside = f"   {PEERS[what]}: " + ", ".join(f"{figure:.1f}" for figure in peer) if peer else ""
        mark = " !" if times.quiet > goal else "  "
        print(mark + f"{what:<44}" + "".join(f"{figure:8.1f}" for figure in times) + f"{goal:8.0f}{beside}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
