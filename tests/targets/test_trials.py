"""What a form says is looked at before it is saved: line by line, and nothing of it stays."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from apps.audit.models import Entry
from apps.core.actors import Actor
from apps.core.errors import Invalid, NotAllowed
from apps.core.jobs import Job
from apps.targets import services as targets
from apps.targets import trials
from apps.targets.configs import Machine, read_machine
from apps.targets.models import Target, Trial
from tests.cast import Cast
from tests.targets.test_machines import HOSTS, SECRETS, ada, browser
from worker.drivers.docker_host import hosts as circuits
from worker.tasks.try_target import try_target

__all__ = ["ada"]
NOBODY = {"hosts": [{"name": "gpu-1", "url": "tcp://127.0.0.1:9"}]}
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def fresh_circuits() -> None:
    circuits._circuits.clear()


@pytest.fixture
def console(cast: Cast, ada: Actor) -> Client:
    return browser(cast, "ada")


def page(name: str, *words: object) -> str:
    return reverse(f"targets:{name}", args=["digits-team", *words])


@pytest.mark.parametrize(
    ("line", "machine"),
    [
        ("tcp://gpu1.example.com:2376", Machine("gpu1.example.com", "tcp://gpu1.example.com:2376")),
        ("gpu1.example.com", Machine("gpu1.example.com", "tcp://gpu1.example.com:2376")),
        ("10.0.0.5:2377", Machine("10.0.0.5", "tcp://10.0.0.5:2377")),
        ("  gpu-2   ssh://slipway@10.0.0.6 ", Machine("gpu-2", "ssh://slipway@10.0.0.6")),
        ("slipway@10.0.0.6", Machine("10.0.0.6", "ssh://slipway@10.0.0.6")),
        ("tcp://[2001:db8::5]:2376", Machine("2001-db8--5", "tcp://[2001:db8::5]:2376")),
        ("unix:///var/run/docker.sock", Machine("engine", "unix:///var/run/docker.sock")),
    ],
)
def test_a_machine_is_read_as_people_write_it(line: str, machine: Machine) -> None:
    assert read_machine(line) == machine


def test_a_check_before_saving_shows_its_lines_and_saves_no_target(
    console: Client, queue: list, django_capture_on_commit_callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = console.post(page("target_new_try") + "?kind=process", {"csrf": "x"}, headers=HTMX)
    trial = Trial.objects.get()
    assert queue == [(Job.TRY_TARGET, trial.pk)]
    assert page("trial", trial.pk) in answer.content.decode(), "the page asks again until it is done"
    try_target(trial.pk)
    shown = console.get(page("trial", trial.pk), headers=HTMX).content.decode()
    assert "GiB free" in shown
    assert "hx-get" not in shown, "nothing moves any more"
    assert not Target.objects.exists()


def test_what_it_opens_a_host_with_is_forgotten_once_it_was_looked_at(ada: Actor) -> None:
    trial = trials.try_target(actor=ada, kind="docker", config=NOBODY, secrets=SECRETS)
    trial.refresh_from_db()
    assert trials.secrets_of(trial) == SECRETS
    try_target(trial.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM targets_trial")
        kept = json.dumps(cursor.fetchall(), default=str)
    assert "s3cr3t" not in kept + " ".join(Entry.objects.values_list("after", flat=True))
    trial.refresh_from_db()
    assert trial.sealed == ""
    assert [line["ok"] for line in trial.lines] == [False]


def test_an_edit_is_tried_with_what_was_sealed_before(ada: Actor) -> None:
    row = targets.create_target(actor=ada, name="gpus", kind="docker", config=HOSTS, secrets=SECRETS)
    row.refresh_from_db()
    other = SECRETS["key"].replace("s3cr3t", "an0ther")
    trial = trials.try_target(actor=ada, kind="docker", config=NOBODY, secrets={"key": other}, target=row)
    trial.refresh_from_db()
    assert trials.secrets_of(trial) == {**SECRETS, "key": other}
    row.refresh_from_db()
    assert row.config == HOSTS


def test_what_cannot_be_looked_at_is_said_beside_its_field(console: Client) -> None:
    answer = console.post(page("target_new_try"), {"hosts": "http://gpu-1", **SECRETS}, headers=HTMX)
    assert answer.status_code == 422
    assert "is no address of a Docker engine" in answer.content.decode()
    assert "s3cr3t" not in answer.content.decode()
    assert not Trial.objects.exists()


def test_only_administrators_of_the_installation_try(cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        trials.try_target(actor=cast.actor("ada"), kind="process", config={}, secrets={})


def test_a_trial_whose_workers_die_is_over_and_an_old_one_is_forgotten(ada: Actor) -> None:
    lost = trials.try_target(actor=ada, kind="process", config={}, secrets={})
    Trial.objects.filter(pk=lost.pk).update(attempts=trials.ATTEMPTS)
    assert trials.begin_trial(lost.pk) is None
    lost.refresh_from_db()
    assert (lost.sealed, lost.lines, lost.due_at) == ("", [], None)
    assert lost.done_at
    Trial.objects.filter(pk=lost.pk).update(created_at=lost.created_at - trials.KEPT - timedelta(seconds=1))
    trials.try_target(actor=ada, kind="process", config={}, secrets={})
    assert not Trial.objects.filter(pk=lost.pk).exists()


def test_each_kind_has_its_own_short_form(console: Client) -> None:
    fields = {kind: console.get(f"{page('target_new')}?kind={kind}").content.decode() for kind in targets.KINDS}
    assert 'name="constraints"' in fields["swarm"]
    assert 'name="constraints"' not in fields["docker"]
    assert 'name="ca"' in fields["docker"]
    assert 'name="hosts"' not in fields["process"]


def test_a_cluster_keeps_its_constraints_and_port_and_gives_them_up(console: Client) -> None:
    form = {"name": "cluster", "hosts": "10.0.0.5", "constraints": "node.labels.gpu==yes\n", "engine_port": 2376}
    assert console.post(page("target_new") + "?kind=swarm", {**form, **SECRETS}).status_code == 302
    row = Target.objects.get(name="cluster")
    manager = {"name": "10.0.0.5", "url": "tcp://10.0.0.5:2376"}
    assert row.config == {"managers": [manager], "constraints": ["node.labels.gpu==yes"], "engine_port": 2376}
    shown = console.get(page("target_edit", "cluster")).content.decode()
    assert "node.labels.gpu==yes" in shown
    console.post(page("target_edit", "cluster"), {"hosts": "10.0.0.5"})
    row.refresh_from_db()
    assert row.config == {"managers": [manager]}


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"constraints": ["anything"]}, "constraints"),
        ({"constraints": "node.role==worker"}, "constraints"),
        ({"engine_port": 70000}, "engine_port"),
        ({"engine_port": "2376"}, "engine_port"),
    ],
)
def test_what_a_cluster_is_told_wrongly_is_refused_at_its_field(ada: Actor, config: dict, field: str) -> None:
    whole = {"managers": HOSTS["hosts"], **config}
    with pytest.raises(Invalid) as caught:
        targets.create_target(actor=ada, name="cluster", kind="swarm", config=whole, secrets=SECRETS)
    assert set(caught.value.errors) == {field}
