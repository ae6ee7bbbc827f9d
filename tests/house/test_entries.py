"""Who changes something by any route of ours leaves exactly one entry in the log; more, or none, has a reason here."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.http import HttpResponseBase
from django.test import Client

from apps.audit.models import Entry
from apps.deployments.models import Deployment
from apps.library.models import Artifact, Check, VersionFile
from apps.releases.models import Build, Release
from apps.targets.models import Environment, Target
from tests import world
from tests.cast import PASSWORD, Cast
from tests.house.test_access import TABLE, WRITES, House
from tests.library.test_api import complete_upload
from tests.targets.test_machines import SECRETS

UNSAFE = sorted((name, method) for name, methods in TABLE.items() for method in methods if method in WRITES)
NAMESPACES = sorted({name.rpartition(":")[0] for name, _method in UNSAFE})
DONE = {200, 201, 202, 204, 302}
FORM = "application/x-www-form-urlencoded"

# Routes that leave no entry, since nothing of anybody's is changed by them.
SILENT = {
    "audit:verify": "looks at the log, and writes beside it",
    "deployments:try_it": "calls a model; calls are counted, not recorded",
    "deployments:run_golden": "calls a model, as above",
    "library:preview_card": "only shows what was typed",
    "library_api:upload PATCH": "bytes on their way; the version made of them is recorded",
    "targets:target_new_try": "only looks at what was typed",
    "targets:target_edit_try": "only looks at what was typed",
}
# Routes that finish a second thing besides what was asked for, which has an entry of its own.
MORE = {
    "releases:approve": ["release.cleared"],  # the last approval that was needed
    "releases_api:approve": ["release.cleared"],
    "library:upload": ["model.created"],  # the model of a name that there was not
    "library:use_sample": ["model.created", "model.edited"],  # and its description
    "targets:target_edit": ["target.credentials_replaced"],  # other machines, and other credentials for them
    "deployments:roll_back": ["deployment.started"],  # the deployment that takes over
    "deployments_api:rollback": ["deployment.started"],
}
SPARE = {"model": "spare", "number": 1}
OTHER: dict[str, dict[str, Any]] = {  # what is written to in place of the things of ``furnish``
    "library:ask_exception": SPARE,
    "library_api:ask_exception": SPARE,
    "library:delete_version": SPARE,
    "library_api:version": SPARE,
    "targets:target_edit": {"name": "gpus"},
}
QUERIES = {"targets:target_new": "?kind=process"}
RULE = {"metric": "requests", "window_seconds": 60, "operator": ">", "threshold": 5, "for_seconds": 0}


class Story:
    """What has to be so before a route can do its work, and what is sent there then."""

    def __init__(self, house: House, cast: Cast) -> None:
        self.house, self.cast = house, cast
        rule = {**RULE, "severity": "info", "name": "Many", "endpoint": world.endpoint(cast).pk}
        target, environment = Target.objects.get(name="this-machine"), Environment.objects.get(name="production")
        policy = {"target": target.pk, "approvals_required": 2, "approval_days": 10}
        endpoint = {"environment": environment.pk, "max_body_mb": 9, "timeout_seconds": 9, "is_idempotent": "on"}
        self.bodies: dict[str, dict[str, Any]] = {
            "accounts:key_new": {"name": "New", "scopes": "read", "days": 9, "rate_per_minute": 9},
            "accounts:key_revoke": {"name": "CI"},
            "accounts:project_edit": {"name": "Harbour"},
            "accounts_api:project": {"name": "Harbour"},
            "library:edit_card": {"card": "Other words", "base": 1},
            "library_api:card": {"card": "Other words", "revision": 1},
            "library:ask_exception": {"reason": "Needed"},
            "library:edit_model": {"description": "Other words"},
            "library_api:model": {"description": "Other words"},
            "library:retire_versions": {"version": "digits/2", "sure": "yes"},
            "library:tag_models": {"tag": "new", "models": "digits"},
            "library:untag_models": {"tag": "new", "models": "digits"},
            "library:restore_versions": {"version": "digits/1"},
            "monitoring:channel_new": {"name": "Third", "kind": "webhook", "url": "https://example.com/third"},
            "monitoring:rule": rule,
            "monitoring:rule_new": rule,
            "monitoring_api:rule": {"threshold": 7.0},
            "releases:propose": {
                "version": Release.objects.latest("pk").version_id,
                "endpoint": world.endpoint(cast, "other").pk,
                "replicas": 1,
            },
            "site:choose": {"theme": "dark"},
            "site:invitation": {"name": "New", "password": PASSWORD},
            "site:profile": {"name": "Somebody", "theme": "dark"},
            "site:project_new": {"name": "Harbour", "slug": "harbour"},
            "targets:endpoint_edit": endpoint,
            "targets:endpoint_new": {"name": "wine", **endpoint},
            "targets:environment_edit": policy,
            "targets:environment_new": {"name": "trial", **policy},
            "targets_api:environment": {"approvals_required": 3},
            "targets:target_edit": {"hosts": "gpu-1 tcp://10.0.0.6:2376", **SECRETS},
            "targets:target_new": {"name": "other-machine"},
            "targets_api:target": {"is_enabled": False},
        }
        self.before: dict[str, Callable[[], Any]] = {
            "deployments:start": self.stop_all,
            "deployments_api:start": self.stop_all,
            "deployments:start_release": self.build,
            "deployments_api:deployments": self.build,
            "deployments:roll_back": self.run_before,
            "deployments_api:rollback": self.run_before,
            "releases:retry_build": lambda: self.build(Build.State.FAILED),
            "library:upload": self.upload,
            "library_api:versions": self.upload,
            "library:restore_version": self.retire,
            "library_api:restore": self.retire,
            "library:restore_versions": self.retire,
            "library:untag_models": lambda: self.knock("library:tag_models"),
            "library:retire_versions": lambda: world.ready_version(cast),
            "library:delete_version": lambda: world.ready_version(cast, "spare"),
            "library_api:version": lambda: world.ready_version(cast, "spare"),
            "library:ask_exception": self.refuse_another,
            "library_api:ask_exception": self.refuse_another,
            "library:revoke_exception": self.grant_exception,
            "library_api:revoke_exception": self.grant_exception,
            "targets:node_undrain": lambda: self.knock("targets:node_drain"),
            "targets_api:node_undrain": lambda: self.knock("targets:node_drain"),
            "targets:target_enable": lambda: self.knock("targets:target_disable"),
        }

    def knock(self, name: str, method: str = "POST", letter: str = "") -> HttpResponseBase:
        """The first who may, or the one with this letter, does what the route is for."""
        line = TABLE[name][method]
        letter = letter or ("N" if name == "site:invitation" else next(one for one in line if one.isalpha()))
        client: Client = self.house.clients[letter]
        body, other = self.bodies.get(name), OTHER.get(name, {})
        if body is None:
            return self.house.send(client, name, method, **other)
        is_api = "_api:" in name
        text, kind = (json.dumps(body), "application/json") if is_api else (urlencode(body), FORM)
        address = self.house.address(name, **other) + QUERIES.get(name, "")
        return client.generic(method, address, text, content_type=kind)

    def build(self, state: str = Build.State.DONE) -> None:
        """The release that waits is approved, and its build has ended."""
        self.knock("releases:approve")
        Build.objects.filter(state=Build.State.QUEUED).update(state=state)

    def run_before(self) -> None:
        """The other release was live before the one that is."""
        self.build()
        present = Deployment.objects.get()
        release = Release.objects.exclude(pk=present.release_id).get()
        facts = {name: getattr(present, name) for name in ("project", "endpoint", "target", "started_by", "replicas")}
        stopped = {"is_wanted": False, "phase": Deployment.Phase.STOPPED}
        earlier = present.live_at - timedelta(hours=1)  # type: ignore[operator]
        Deployment.objects.create(release=release, build=release.builds.get(), live_at=earlier, **facts, **stopped)

    def stop_all(self) -> None:
        """Everything, and as it was approved: ``furnish`` gave the version other bytes to download since."""
        for row in VersionFile.objects.filter(version__releases__deployments__isnull=False):
            Artifact.objects.get_or_create(sha256=row.version.digest, defaults={"size": 1000})
            VersionFile.objects.filter(pk=row.pk).update(artifact_id=row.version.digest)
        Deployment.objects.update(is_wanted=False, phase=Deployment.Phase.STOPPED)

    def retire(self) -> None:
        self.knock("library:retire_version")

    def upload(self) -> None:
        done = str(complete_upload(self.cast).pk)
        self.bodies["library:upload"] = {"model": "words", "uploads": done}
        self.bodies["library_api:versions"] = {"uploads": [done]}

    def refuse_another(self) -> None:
        version = world.ready_version(self.cast, "spare", state="refused", served_format="", signature=None)
        names = {"exception": ["xgboost.sklearn:XGBClassifier"]}
        Check.objects.create(version=version, key="safety", position=1, state="failed", summary={}, details=names)

    def grant_exception(self) -> None:
        for letter in "RA":
            self.knock("library:approve_exception", letter=letter)


@pytest.fixture
def story(cast: Cast, queue: list[Any]) -> Story:
    return Story(House(cast), cast)


def write(story: Story, name: str, method: str) -> tuple[int, list[str]]:
    """The answer's status and the actions that were recorded; nothing of it stays."""
    with transaction.atomic():
        if name in story.before:
            story.before[name]()
        before = Entry.objects.count()
        answer = story.knock(name, method)
        left = list(Entry.objects.order_by("seq")[before:].values_list("action", flat=True))
        transaction.set_rollback(True)
    return answer.status_code, left


def is_right(name: str, method: str, status: int, left: list[str]) -> bool:
    if name in SILENT or f"{name} {method}" in SILENT:
        return status < 500 and left == []
    more = Counter(MORE.get(name, []))
    return status in DONE and (Counter(left) - more).total() == 1 and (Counter(left) & more) == more


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_write_leaves_one_entry(story: Story, namespace: str) -> None:
    wrong = {}
    for name, method in UNSAFE:
        if name.rpartition(":")[0] == namespace:
            status, left = write(story, name, method)
            if not is_right(name, method, status, left):
                wrong[f"{name} {method}"] = (status, left)
    assert wrong == {}
