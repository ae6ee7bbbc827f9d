"""Server time of the library's pages and API with 10,000 versions in 100 models.

``python -m tests.bench.library [--rounds 30]``. Runs on a database of its own, through the whole stack of middleware
but without a network. Server time is processor time of this process, SQLite included, which the neighbours on a busy
machine disturb least; the time on the clock stands beside it. The goal is a median under 100 ms for each.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

import django
from django.core.management import call_command

MODELS = 100
VERSIONS = 10_000
GOAL_MS = 100.0
ADDRESSES = {
    "page: list of models": "/p/digits-team/models/",
    "page: models, searched": "/p/digits-team/models/?search=model+sort&tag=weekly",
    "page: versions of a model": "/p/digits-team/models/model-007/",
    "page: versions of a model with 5,000": "/p/digits-team/models/busy/?page=40",
    "page: one version": "/p/digits-team/models/model-007/50/",
    "api: list of models": "/api/v1/projects/digits-team/models/?page_size=100",
    "api: list of versions": "/api/v1/projects/digits-team/models/model-007/versions/?page_size=100",
    "api: one version": "/api/v1/projects/digits-team/models/model-007/versions/50/",
}


class Times(NamedTuple):
    """Milliseconds of one request: of work, and on the clock."""

    work: float
    wall: float


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=30)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as home:
        os.environ.update(SLIPWAY_HOME=home, DJANGO_SETTINGS_MODULE="controlplane.settings", SLIPWAY_LOG_LEVEL="ERROR")
        django.setup()
        call_command("migrate", verbosity=0)
        call_command("createcachetable", verbosity=0)
        call_command("collectstatic", verbosity=0, interactive=False)
        return report({name: measure(get, rounds) for name, get in stage().items()})


def stage() -> dict[str, Callable[[], None]]:
    """Fill the library; what to measure, by name."""
    # Models can be imported once Django is set up, and not before.
    from django.test import Client

    from tests.cast import gather

    cast = gather()
    fill(cast)
    client = Client(headers={"Host": "localhost"})
    client.force_login(cast.user("dana"), backend="allauth.account.auth_backends.AuthenticationBackend")

    def getting(address: str) -> Callable[[], None]:
        def get() -> None:
            answer = client.get(address)
            assert answer.status_code == 200, f"{address}: {answer.status_code}"

        return get

    return {name: getting(address) for name, address in ADDRESSES.items()}


def fill(cast: object) -> None:
    """100 models of 50 versions, and half of all versions in one of them; each with checks and a file."""
    from apps.library.evidence import EXPECTED
    from apps.library.models import Artifact, Check, MLModel, ModelVersion, VersionFile

    dana, project = cast.user("dana"), cast.project  # type: ignore[attr-defined]
    names = [f"model-{number:03}" for number in range(MODELS - 1)] + ["busy"]
    models = MLModel.objects.bulk_create(
        MLModel(
            project=project,
            name=name,
            description="A model of some sort",
            task=random.choice(("classification", "regression")),
            tags=random.sample(["weekly", "demo", "vision", "finance"], 2),
            created_by=dana,
        )
        for name in names
    )
    each = VERSIONS // 2 // (MODELS - 1)
    counts = [each] * (MODELS - 1) + [VERSIONS - each * (MODELS - 1)]
    versions = ModelVersion.objects.bulk_create(
        ModelVersion(
            model=model,
            number=number,
            state=random.choice(("ready", "ready", "refused", "retired")),
            digest=f"{random.getrandbits(256):064x}",
            size=1_000_000,
            description="Night run",
            card="# Card\n" * 50,
            framework=random.choice(("scikit-learn", "xgboost", "lightgbm")),
            uploaded_by=dana,
        )
        for model, count in zip(models, counts, strict=True)
        for number in range(1, count + 1)
    )
    Artifact.objects.bulk_create(Artifact(sha256=version.digest, size=version.size) for version in versions)
    VersionFile.objects.bulk_create(
        VersionFile(version=version, artifact_id=version.digest, name="model.onnx", is_served=True)
        for version in versions
    )
    Check.objects.bulk_create(
        (
            Check(version=version, key=key, position=position, state="passed", summary={"text": "Fine", "params": {}})
            for version in versions
            for position, key in enumerate(EXPECTED)
        ),
        batch_size=5000,
    )


def measure(get: Callable[[], None], rounds: int) -> list[Times]:
    """One entry a request, without the first three, which fill caches."""
    times = []
    for _turn in range(rounds + 3):
        wall, work = time.perf_counter(), time.process_time()
        get()
        times.append(Times((time.process_time() - work) * 1000, (time.perf_counter() - wall) * 1000))
    return times[3:]


def report(results: dict[str, list[Times]]) -> int:
    """Print the table; 1 if a median misses the goal."""
    print(f"{VERSIONS:,} versions in {MODELS} models; milliseconds a request, goal {GOAL_MS:.0f}")
    medians = {name: statistics.median(t.work for t in times) for name, times in results.items()}
    for name, times in results.items():
        wall = statistics.median(t.wall for t in times)
        print(f"  {name:<40} server {medians[name]:6.1f}   on the clock {wall:6.1f}")
    return int(max(medians.values()) > GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())
