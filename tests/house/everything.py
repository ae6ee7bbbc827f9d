"""A project with one of everything in it, so that every route has something to show or to change."""

import io
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import Membership, User
from apps.core.actors import Actor
from apps.deployments.models import Deployment, Replica
from apps.library import services as library
from apps.library.models import Artifact, Check, ModelVersion, SafetyException, Upload
from apps.monitoring import services as monitoring
from apps.monitoring.models import Alert, AlertRule
from apps.releases import services as releases
from apps.releases.models import Build, Release
from apps.targets.models import Target, Trial
from tests import world
from tests.cast import Cast
from tests.monitoring.traffic import serving

PLACES, VERBS = ("library", "library_api"), ("approve", "reject", "revoke")
CHANNEL: dict[str, Any] = {"name": "Room", "kind": "webhook", "config": {"url": "https://example.com/hook"}}


@dataclass(frozen=True)
class Furniture:
    """What to put into an address and what to send there, by the beginning of the route's name."""

    places: dict[str, dict[str, Any]]
    bodies: dict[str, dict[str, Any]]


def furnish(cast: Cast) -> Furniture:
    ada, dana, omar = (cast.actor(name) for name in ("ada", "dana", "omar"))
    deployment = serving(cast, live_at=timezone.now())
    deployment.replica_set.update(state=Replica.State.STARTING)  # nobody listens at an invented replica
    waiting = releases.propose(actor=dana, version=world.ready_version(cast), endpoint=deployment.endpoint)
    key = accounts.issue_key(actor=ada, project=cast.project, name="CI", scopes=["read"]).key
    invitation, link = accounts.invite(actor=ada, project=cast.project, email="new@example.com", role="viewer")
    store_bytes(cast, deployment.release.version)
    rule = create_rule(cast, omar)
    alert = Alert.objects.create(rule=rule, state=Alert.State.FIRING, value=1.0, since=timezone.now())
    channel, _secret = monitoring.create_channel(actor=omar, project=cast.project, **CHANNEL)
    common = {
        "project": cast.project.slug,
        "slug": cast.project.slug,
        "model": "digits",
        "number": 1,
        "endpoint": "digits",
        "tab": "history",
        "name": deployment.target.name,
        "key_id": key.key_id,
        "token": link.rstrip("/").rpartition("/")[2],
        "upload_id": create_upload(cast).pk,
    }
    release = {"pk": waiting.pk}
    node = {"name": create_gpus().name, "target": "gpus", "node": "gpu-1"}
    exception = ask_exception(cast)
    places: dict[str, dict[str, Any]] = {
        "": common,
        "accounts:member": {"pk": Membership.objects.get(user=cast.user("rhea")).pk},
        "accounts:invitation": {"pk": invitation.pk},
        "library:exception": {"pk": exception.pk},
        "library_api:exception": {"pk": exception.pk},
        **{f"{place}:{verb}_exception": {"pk": exception.pk} for place in PLACES for verb in VERBS},
        "releases": release,
        "releases:build_": {"pk": deployment.release_id, "build": attach(deployment.build).pk},
        "deployments": {"pk": deployment.pk},
        "deployments:start_release": release,
        "deployments:release": release,
        "targets:environment": {"name": "production"},
        "targets:node_": node,
        "targets_api:node_": node,
        "targets:trial": {"pk": Trial.objects.create(kind="process").pk},
        "deployments:node": node,
        "targets_api:environment": {"name": "production"},
        "monitoring:acknowledge": {"pk": alert.pk},
        "monitoring_api:acknowledge": {"pk": alert.pk},
        "monitoring:rule": {"pk": rule.pk},
        "monitoring_api:rule": {"pk": rule.pk},
        "monitoring:channel": {"pk": channel.pk},
    }
    return Furniture(places, write_bodies(waiting, deployment) | exception_bodies(exception))


def create_gpus() -> Target:
    config = {"hosts": [{"name": "gpu-1", "url": "tcp://10.0.0.5:2376"}]}
    return Target.objects.create(name="gpus", kind="docker", config=config)


def attach(build: Build) -> Build:
    """What a build leaves that made an image."""
    build.attachments, build.log = {"sbom": {"components": []}, "provenance": {"payload": ""}}, "step lock"
    build.save()
    return build


def write_bodies(waiting: Release, deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Something right to send wherever an empty body is refused before anybody asks who sends it."""
    decision = {"subject": waiting.subject, "note": "Because."}
    member = {"email": "sam@example.com", "role": "viewer"}
    proposal = {"model": "digits", "version": 1, "endpoint": "digits"}
    watched = {"name": "Slow", "endpoint": "digits", "metric": "latency_p99", "threshold": 1.0}
    return {
        "accounts:members": member,
        "accounts:member_role": {"role": "viewer"},
        "accounts_api:projects": {"slug": "harbour", "name": "Harbour"},
        "accounts_api:members": member,
        "accounts:key_rotate": {"overlap_hours": 24},
        "accounts_api:keys": {"project": waiting.project.slug, "name": "New", "scopes": ["read"]},
        "library_api:models": {"name": "new-model"},
        "releases:approve": decision,
        "releases:reject": decision,
        "releases:comment": {"text": "Why now?"},
        "releases_api:comments": {"text": "Why now?"},
        "releases_api:releases": proposal,
        "releases_api:approve": decision,
        "releases_api:reject": decision,
        "targets_api:targets": {"name": "other-machine", "kind": "process"},
        "targets_api:environments": {"name": "trial", "target": deployment.target.name},
        "deployments:try_it": {"raw": "{}"},
        "deployments:scale": {"replicas": 3},
        "deployments:set_traffic": {f"weight_{deployment.pk}": 100},
        "deployments_api:endpoints": {"name": "wine", "environment": "production"},
        "deployments_api:deployments": {"release": waiting.pk},
        "deployments_api:scale": {"replicas": 3},
        "deployments_api:traffic": {"weights": {str(deployment.pk): 100}},
        "monitoring_api:rules": watched,
        "monitoring_api:channels": {"name": "Second", "kind": "webhook", "url": "https://example.com/second"},
    }


def ask_exception(cast: Cast) -> SafetyException:
    """An exception that waits for its approvals, for a version that was refused."""
    version = world.ready_version(cast, "fraud", state="refused", served_format="", signature=None)
    names = {"exception": ["xgboost.sklearn:XGBClassifier"]}
    Check.objects.create(version=version, key="safety", position=1, state="failed", summary={}, details=names)
    return library.ask_exception(actor=cast.actor("dana"), version=version, reason="Needed")


def exception_bodies(exception: SafetyException) -> dict[str, dict[str, Any]]:
    decision = {"subject": exception.subject, "note": "Because."}
    decided = {f"{place}:{verb}_exception": decision for place in PLACES for verb in VERBS}
    return {**decided, "library_api:ask_exception": {"reason": "Needed"}}


def store_bytes(cast: Cast, version: ModelVersion) -> None:
    """Bytes that can be downloaded, in place of invented ones."""
    stored = library.store_file(
        actor=cast.actor("dana"), project=cast.project, name="model.onnx", stream=io.BytesIO(b"model")
    )
    artifact, _ = Artifact.objects.get_or_create(sha256=stored.sha256, defaults={"size": stored.size})
    version.files.update(artifact=artifact)


def create_upload(cast: Cast) -> Upload:
    return Upload.objects.create(
        project=cast.project, created_by=cast.user("dana"), name="a.onnx", size=10, expires_at=timezone.now()
    )


def create_rule(cast: Cast, omar: Actor) -> AlertRule:
    return monitoring.create_rule(
        actor=omar,
        project=cast.project,
        endpoint=world.endpoint(cast),
        name="Too many",
        metric="requests",
        operator=">",
        threshold=0.0,
        window_seconds=60,
        for_seconds=0,
        severity="info",
    )


def gather_people(cast: Cast) -> dict[str, User | None]:
    """By letter: the roles of the project, an administrator of another project, of the installation, and nobody."""
    names = {"V": "vic", "D": "dana", "R": "rhea", "O": "omar", "A": "ada", "S": "sam"}
    ines = User.objects.create(email="ines@example.com", name="Ines", is_superuser=True)
    return {**{letter: cast.user(name) for letter, name in names.items()}, "I": ines, "N": None}
