"""Targets with machines: where they are, what opens them, and which of them drain."""

import json

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import Entry
from apps.core.actors import Actor
from apps.core.errors import Invalid, NotAllowed
from apps.core.jobs import Job
from apps.deployments.models import Replica
from apps.targets import services as targets
from apps.targets.models import Target
from tests.cast import Cast
from tests.monitoring.traffic import serving

HOSTS = {"hosts": [{"name": "gpu-1", "url": "tcp://10.0.0.5:2376"}, {"name": "gpu-2", "url": "tcp://10.0.0.6:2376"}]}
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
SECRETS = {name: f"{BEGIN}\n{name}-s3cr3t\n{END}\n" for name in ("ca", "cert", "key")}


@pytest.fixture
def ada(cast: Cast) -> Actor:
    """Administrator of the whole installation."""
    cast.users["ada"].is_superuser = True
    cast.users["ada"].save()
    return cast.actor("ada")


@pytest.fixture
def gpus(ada: Actor) -> Target:
    return targets.create_target(actor=ada, name="gpus", kind="docker", config=HOSTS, secrets=SECRETS)


def browser(cast: Cast, name: str) -> Client:
    made = Client()
    made.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
    return made


@pytest.mark.parametrize(
    ("config", "secrets", "field"),
    [
        ({}, SECRETS, "hosts"),
        ({"hosts": [{"name": "a b", "url": "tcp://h:1"}]}, SECRETS, "hosts"),
        ({"hosts": [{"name": "a", "url": "http://h:1"}]}, SECRETS, "hosts"),
        ({"hosts": [{"name": "a", "url": "tcp://h:99999"}]}, SECRETS, "hosts"),
        ({"hosts": [{"name": "a", "url": "tcp://h", "privileged": True}]}, SECRETS, "hosts"),
        ({"hosts": [HOSTS["hosts"][0], HOSTS["hosts"][0]]}, SECRETS, "hosts"),
        (HOSTS, {**SECRETS, "key": ""}, "key"),
        (HOSTS, {**SECRETS, "key": "$DOCKER_KEY"}, "key"),
        (HOSTS, {**SECRETS, "ca": "file:/etc/passwd"}, "ca"),
        ({"hosts": [{"name": "a", "url": "ssh://h"}]}, {}, "known_hosts"),
    ],
)
def test_what_cannot_be_reached_is_refused_at_its_field(ada: Actor, config: dict, secrets: dict, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        targets.create_target(actor=ada, name="gpus", kind="docker", config=config, secrets=secrets)
    assert field in caught.value.errors
    assert not Target.objects.exists()


def test_a_credential_that_is_replaced_leaves_the_others_and_shows_nowhere(ada: Actor, gpus: Target) -> None:
    other = f"{BEGIN}\nan0ther-key\n{END}\n"
    row = targets.edit_target(actor=ada, target=gpus, secrets={"key": other, "ca": ""})
    assert targets.open_secrets(row) == {**SECRETS, "key": other}
    told = " ".join(Entry.objects.values_list("after", flat=True))
    assert json.loads(Entry.objects.get(action="target.credentials_replaced").after) == {"secrets": ["key"]}
    assert "s3cr3t" not in told + row.sealed
    assert "an0ther" not in told + row.sealed


def test_machines_of_another_scheme_need_their_own_credentials(ada: Actor, gpus: Target) -> None:
    over_ssh = {"hosts": [{"name": "gpu-1", "url": "ssh://slipway@10.0.0.5"}]}
    with pytest.raises(Invalid) as caught:
        targets.edit_target(actor=ada, target=gpus, config=over_ssh)
    assert set(caught.value.errors) == {"ssh_key", "known_hosts"}


def test_a_machine_drains_until_it_is_told_otherwise(
    ada: Actor, gpus: Target, queue: list, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        assert targets.drain_node(actor=ada, target=gpus, node="gpu-1").draining == ["gpu-1"]
    assert (Job.CHECK_TARGET, gpus.pk) in queue
    entries = Entry.objects.count()
    assert targets.drain_node(actor=ada, target=gpus, node="gpu-1").draining == ["gpu-1"]
    assert Entry.objects.count() == entries, "draining what drains changes nothing"
    assert targets.undrain_node(actor=ada, target=gpus, node="gpu-1").draining == []
    with pytest.raises(Invalid):
        targets.drain_node(actor=ada, target=gpus, node="gpu-9")


def test_a_node_of_a_swarm_drains_once_a_check_has_seen_it(ada: Actor) -> None:
    swarm = Target.objects.create(name="swarm", kind="swarm", nodes=[{"name": "worker-1", "state": "ready"}])
    assert targets.drain_node(actor=ada, target=swarm, node="worker-1").draining == ["worker-1"]
    with pytest.raises(Invalid):
        targets.drain_node(actor=ada, target=swarm, node="worker-2")


def test_operators_of_a_project_do_not_drain_what_all_share(cast: Cast, gpus: Target) -> None:
    with pytest.raises(NotAllowed):
        targets.drain_node(actor=cast.actor("omar"), target=gpus, node="gpu-1")


def test_a_form_never_sends_a_credential_back(cast: Cast, ada: Actor) -> None:
    form = {
        "name": "gpus",
        "kind": "docker",
        "hosts": "gpu-1 tcp://10.0.0.5:2376",
        **SECRETS,
        "key": "s3cr3t-but-no-pem",
    }
    answer = browser(cast, "ada").post(reverse("targets:target_new", args=["digits-team"]), form)
    assert answer.status_code == 422
    assert "s3cr3t" not in answer.content.decode()
    assert "whole text" in answer.content.decode()
    answer = browser(cast, "ada").post(reverse("targets:target_new", args=["digits-team"]), {**form, **SECRETS})
    assert answer.status_code == 302
    page = browser(cast, "ada").get(reverse("targets:target_edit", args=["digits-team", "gpus"])).content.decode()
    assert "gpu-1 tcp://10.0.0.5:2376" in page
    assert "s3cr3t" not in page
    form = {"hosts": "gpu-1 tcp://10.0.0.7:2376"}
    browser(cast, "ada").post(reverse("targets:target_edit", args=["digits-team", "gpus"]), form)
    row = Target.objects.get(name="gpus")
    assert row.config == {"hosts": [{"name": "gpu-1", "url": "tcp://10.0.0.7:2376"}]}
    assert targets.open_secrets(row) == SECRETS


def test_a_machines_page_shows_what_runs_there_to_those_who_may_see_it(
    cast: Cast, gpus: Target, django_assert_max_num_queries
) -> None:
    deployment = serving(cast, live_at=timezone.now())
    Target.objects.filter(pk=deployment.target_id).update(kind="docker", config=HOSTS)
    Replica.objects.filter(deployment=deployment).update(node="gpu-1", log="a line of its log")
    address = reverse("deployments:node", args=["digits-team", deployment.target.name, "gpu-1"])
    omar = browser(cast, "omar")
    assert omar.get(address).status_code == 200
    with django_assert_max_num_queries(12):  # of which most find out who asks
        page = omar.get(address, headers={"HX-Request": "true"}).content.decode()
    assert all(replica.name in page for replica in deployment.replica_set.all())
    assert "a line of its log" in page
    assert "a line of its log" not in browser(cast, "vic").get(address).content.decode()
    assert browser(cast, "omar").get(address.replace("gpu-1", "gpu-9")).status_code == 404
