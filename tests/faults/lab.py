"""A stage on a database of its own, on which time runs forty times faster, and wishes that people have meanwhile."""

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction

from apps.core.errors import StateConflict
from apps.deployments import observing, plan
from apps.deployments import services as deployments
from apps.deployments.models import Deployment
from apps.gateway.snapshot import load_snapshot
from apps.library import services as library
from apps.library.models import MLModel, ModelVersion
from apps.library.services import examinations
from apps.monitoring import deliveries
from apps.monitoring import services as monitoring
from apps.monitoring.models import Channel
from apps.releases import services as releases
from apps.releases.models import Build
from apps.targets.models import Endpoint
from tests import world
from tests.cast import Cast, gather
from tests.faults.host import HostOnDisk
from tests.worker.notifiers.receivers import Receiver
from worker.drivers.registry import DRIVERS
from worker.inspection.environments import Environments
from worker.specs import Evidence, ExamineSpec, Message, Signature, Verdict
from worker.tasks import examine as examining
from worker.tasks import reconcile as reconciling

LEASE_SECONDS = 1.5  # of every kind: all that waits is made shorter alike
ENDLESS = 1_000_000  # a storm kills oftener than a life would: here nothing is given up
QUICK = [
    (observing, "LEASE_SECONDS", LEASE_SECONDS),
    (observing, "BUSY_SECONDS", 0.02),
    (observing, "CALM_SECONDS", 0.25),
    (observing, "RETRY_SECONDS", 1.0),
    (observing, "DRAIN_GRACE_SECONDS", 0.1),
    (observing, "PARK_AFTER", ENDLESS),
    (plan, "MIN_HEALTHY_SECONDS", 0.05),
    (releases, "BUILD_LEASE_SECONDS", LEASE_SECONDS),
    (releases, "BUILD_ATTEMPTS", ENDLESS),
    (examinations, "LEASE_SECONDS", LEASE_SECONDS),
    (examinations, "MAX_ATTEMPTS", ENDLESS),
    (deliveries, "LEASE_SECONDS", LEASE_SECONDS),
    (deliveries, "BACKOFF", (0.1,) * ENDLESS),
]


@dataclass
class Lab:
    """Some endpoints on one host, and people who want things; every wish is a committed row before it counts."""

    cast: Cast
    host: HostOnDisk
    receiver: Receiver
    channel: Channel
    endpoints: list[Endpoint]
    chance: random.Random
    instance: str
    breaches: Path  # a line for each replica that was stopped while it was routed to
    wishes: int = 0
    noticed: set[str] = field(default_factory=set)  # keys of notices on their way

    def wish(self) -> None:
        """One more thing somebody wants; where that is impossible just now, nobody wants anything."""
        wants: list[Callable[[], None]] = [self.upload, self.scale, self.scale, self.stop_or_start, self.roll_back]
        try:
            self.chance.choice([*wants, self.notify])()
            self.wishes += 1
        except StateConflict:
            pass

    @transaction.atomic  # else a worker's sweep may be the first to start what is approved and built
    def start(self, endpoint: Endpoint, replicas: int = 1) -> Deployment:
        """A release that was approved and built, of the model of the endpoint's name, started."""
        version = world.ready_version(self.cast, endpoint.name)
        dana, rhea, omar = (self.cast.actor(name) for name in ("dana", "rhea", "omar"))
        release = releases.propose(actor=dana, version=version, endpoint=endpoint, replicas=replicas)
        releases.approve(actor=rhea, release=release, subject=release.subject)
        done = {"state": "done", "due_at": None, "location": "fake:", "digest": f"sha256:{version.digest}"}
        Build.objects.filter(release=release).update(**done)
        return deployments.start_release(actor=omar, release=release)

    def upload(self) -> None:
        model = self.chance.choice(list(MLModel.objects.all()))
        dana, stream = self.cast.actor("dana"), io.BytesIO(self.chance.randbytes(500))
        stored = library.store_file(actor=dana, project=self.cast.project, name="model.onnx", stream=stream)
        library.create_version(actor=dana, model=model, files=[stored])

    def release_what_is_ready(self) -> None:
        """Versions that nobody has proposed yet go to the endpoint of their model's name."""
        for version in ModelVersion.objects.filter(state="ready", releases=None).select_related("model"):
            endpoint = next(one for one in self.endpoints if one.name == version.model.name)
            release = releases.propose(actor=self.cast.actor("dana"), version=version, endpoint=endpoint)
            releases.approve(actor=self.cast.actor("rhea"), release=release, subject=release.subject)

    def scale(self) -> None:
        if row := self.newest():
            deployments.scale(actor=self.cast.actor("omar"), deployment=row, replicas=self.chance.randint(1, 3))

    def stop_or_start(self) -> None:
        if row := self.newest():
            do = deployments.stop if row.is_wanted else deployments.start
            do(actor=self.cast.actor("omar"), deployment=row)

    def roll_back(self) -> None:
        deployments.roll_back(actor=self.cast.actor("omar"), endpoint=self.chance.choice(self.endpoints))

    def notify(self) -> None:
        self.noticed.add(str(deliveries.queue(self.channel, "channel.test", title="Test", text="One of many").key))

    def newest(self) -> Deployment | None:
        return Deployment.objects.filter(endpoint=self.chance.choice(self.endpoints)).first()

    def routed(self) -> set[str]:
        """The replicas that gateways would send calls to at this moment."""
        endpoints = load_snapshot().endpoints.values()
        return {replica.id for endpoint in endpoints for route in endpoint.routes for replica in route.replicas}

    def note_stop(self, name: str) -> None:
        if name in self.routed():
            with self.breaches.open("a") as file:
                file.write(f"{name} was stopped while it was routed to\n")


def make_lab(folder: Path, receiver: Receiver, seed: int, endpoints: int = 4) -> Lab:
    """Everybody and everything on stage, in the present database; nothing runs yet."""
    cast = gather()
    target = world.target("lab", "fake")
    actor = cast.actor("ada")
    address = {"url": f"http://{receiver.host}/"}
    channel, _secret = monitoring.create_channel(
        actor=actor, project=cast.project, name="inbox", kind="webhook", config=address
    )
    rows = [world.endpoint(cast, f"model-{number}", target=target) for number in range(endpoints)]
    for row in rows:
        library.create_model(actor=cast.actor("dana"), project=cast.project, name=row.name)
    host = HostOnDisk(folder / "host")
    lab = Lab(cast, host, receiver, channel, rows, random.Random(seed), settings.SLIPWAY_INSTANCE, folder / "breaches")
    host.folder.mkdir()
    lab.breaches.touch()
    host.before_stop = lab.note_stop
    return lab


def quicken(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> None:
    """Make all waiting shorter, and let the worker's tasks see this lab's world."""
    monkeypatch.setattr(settings, "SLIPWAY_HOME", lab.host.folder.parent)
    for module, name, value in QUICK:
        monkeypatch.setattr(module, name, value)
    monkeypatch.setitem(DRIVERS, "fake", lambda target, home: lab.host)
    monkeypatch.setattr(reconciling, "is_ready", lambda address, *_: address.removesuffix(":80") in lab.host.names())
    monkeypatch.setattr(examining, "inspect", glance)
    monkeypatch.setattr(settings, "SLIPWAY_OUTBOUND_ALLOWED", [lab.receiver.host])


def glance(spec: ExamineSpec, environments: Environments) -> Iterator[Evidence | Verdict]:
    """An examination that believes everything: here it is about who does the work, not about what is found."""
    for state in ("running", "passed"):
        yield Evidence("content", state, Message("It looks like a model."))
    yield Verdict(
        accepted=True,
        format="onnx",
        framework="onnx",
        tier=0,
        signature=Signature((), ()),
        served_path=spec.files[0].path,
        served_format="onnx",
        served_name="model.onnx",
    )
