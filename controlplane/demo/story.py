"""What happens in the demonstration: uploads, reviews, releases, a refusal, a proposal that waits, a rule."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.core.errors import Missing
from apps.deployments.models import Deployment
from apps.library import selectors as shelf
from apps.library import services as library
from apps.library.models import MLModel, ModelVersion
from apps.monitoring import services as monitoring
from apps.releases import services as releases
from apps.releases.models import Release
from apps.targets import services as targets
from apps.targets.models import Endpoint, Environment
from controlplane.demo.people import Cast

PATIENCE_SECONDS = 600.0
CARD = """# {title}

{text}

## Training data

{data} A quarter of the rows was held out; on them the model is right {score:.1%} of the time.

## Limits

Made for demonstration. Not for decisions about people.
"""
DIGITS = "1,797 scans of handwritten digits, 8×8 pixels with 17 shades each (UCI, as shipped with scikit-learn)."
CANCER = "569 breast tumours, 30 measurements each (Wisconsin diagnostic data, as shipped with scikit-learn)."


def is_trained(folder: Path) -> bool:
    """Whether an earlier start has left the models already; the scores are written last."""
    return (folder / "scores.json").exists()


def train(folder: Path) -> None:
    """Train the models, in a process of its own."""
    command = [sys.executable, "-m", "controlplane.demo.training", str(folder)]
    subprocess.run(command, check=True, cwd=settings.BASE_DIR)


def upload(cast: Cast, model: str, path: Path, card: str, **about: Any) -> ModelVersion:
    """Dana uploads one file as a new version, with its card."""
    dana = cast.actor("dana")
    with path.open("rb") as stream:
        file = library.store_file(actor=dana, project=cast.project, name=path.name, stream=stream)
    return library.create_version(
        actor=dana, model=find_or_create(cast, model, **about), files=[file], card=card, description=card.split("\n")[2]
    )


def find_or_create(cast: Cast, name: str, **about: Any) -> MLModel:
    dana = cast.actor("dana")
    try:
        return shelf.get_model(dana, cast.project, name)
    except Missing:
        return library.create_model(actor=dana, project=cast.project, name=name, **about)


def address(cast: Cast, name: str, environment: str) -> Endpoint:
    """Omar makes an endpoint in one of the environments that the new project gets by itself."""
    wait_for(lambda: cast.project.environments.filter(name=environment).exists(), "the project's environments")
    room = Environment.objects.get(project=cast.project, name=environment)
    return targets.create_endpoint(actor=cast.actor("omar"), project=cast.project, name=name, environment=room)


def propose(cast: Cast, version: ModelVersion, endpoint: Endpoint, note: str, replicas: int = 1) -> Release:
    wait_for(lambda: refreshed(version).state in {"ready", "refused"}, f"the examination of {version}")
    return releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint, replicas=replicas, note=note)


def approve(cast: Cast, release: Release, note: str) -> Deployment:
    """Rhea approves; then the release is built and started, and this returns when it has the traffic."""
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject, note=note)
    wait_for(lambda: is_live(release), f"{release} to go live")
    return Deployment.objects.get(release=release)


def is_live(release: Release) -> bool:
    if failed := release.builds.filter(state="failed").first():
        raise SystemExit(f"The build of {release} failed: {failed.failure}")
    deployment = Deployment.objects.filter(release=release).first()
    if deployment is not None and deployment.phase == Deployment.Phase.FAILED:
        raise SystemExit(f"{deployment} failed: {deployment.failure} {deployment.failure_log}")
    return deployment is not None and deployment.live_at is not None


def watch(cast: Cast, endpoint: Endpoint) -> None:
    """Omar wants to know when the endpoint becomes slow."""
    monitoring.create_rule(
        actor=cast.actor("omar"),
        project=cast.project,
        endpoint=endpoint,
        name="Digits answers slowly",
        metric="latency_p99",
        operator=">",
        threshold=250.0,
        window_seconds=60,
        for_seconds=60,
        severity="warning",
    )


def refreshed(version: ModelVersion) -> ModelVersion:
    version.refresh_from_db()
    return version


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {PATIENCE_SECONDS:.0f} s for {what} in vain. See the worker's log.")
        time.sleep(0.2)
