"""The pages of targets and their machines: what there is, what runs there, and when it was last heard of."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from apps.targets import services as targets
from apps.targets.models import Target
from tests import world
from tests.cast import Cast
from tests.monitoring.traffic import serving
from tests.targets.test_machines import browser

GIB = 1 << 30
ADDRESS = ["digits-team"]


def node(name: str, state: str = "ready", **facts: Any) -> dict[str, Any]:
    figures = {"cpus": 4.0, "memory_bytes": 8 * GIB, "memory_free_bytes": 6 * GIB, "disk_free_bytes": GIB, "gpus": []}
    return {"name": name, "state": state, **figures, **facts}


def show(cast: Cast, name: str, page: str, *words: str) -> str:
    return browser(cast, name).get(reverse(page, args=[*ADDRESS, *words])).content.decode()


def test_cards_show_what_runs_to_those_who_may_see_it_and_count_the_rest(
    cast: Cast, django_assert_max_num_queries
) -> None:
    ours = serving(cast, live_at=timezone.now())
    theirs = serving(cast, "wine", live_at=timezone.now(), replicas=1)
    type(theirs).objects.filter(pk=theirs.pk).update(project=cast.elsewhere)
    Target.objects.update(nodes=[node("n1", load=1.5)])
    text = show(cast, "vic", "targets:targets")
    assert f"{ours.release.version}" in text
    assert "2 replicas" in text
    assert "1 replica of projects that you do not see" in text
    assert "1.5 of 4 busy" in text
    client = browser(cast, "vic")
    for number in range(3):
        world.target(f"more-{number}")
    address = reverse("targets:targets", args=ADDRESS)
    with django_assert_max_num_queries(12):
        client.get(address, headers={"HX-Request": "true"})


def test_this_machine_has_a_page_with_what_runs_on_it(cast: Cast) -> None:
    deployment = serving(cast, live_at=timezone.now())
    Target.objects.filter(pk=deployment.target_id).update(kind="process", nodes=[node("vm")])
    name = deployment.target.name
    assert reverse("deployments:node", args=[*ADDRESS, name, "vm"]) in show(cast, "vic", "targets:target", name)
    text = show(cast, "vic", "deployments:node", name, "vm")
    assert all(replica.name in text for replica in deployment.replica_set.all())


def test_containers_are_told_by_owner(cast: Cast, settings: Any) -> None:
    row = world.target("gpus", "docker")
    owners = {settings.SLIPWAY_INSTANCE: 3, "": 5, "another": 2}
    Target.objects.filter(pk=row.pk).update(nodes=[node("gpu-1", owners=owners)])
    text = show(cast, "vic", "deployments:node", "gpus", "gpu-1")
    assert all(words in text for words in ("3 of ours", "5 of others", "2 of another Slipway"))


def test_a_machine_that_is_away_keeps_the_moment_of_its_last_contact(cast: Cast) -> None:
    row = world.target("gpus", "docker")

    def check(state: str) -> Any:
        held = targets.begin_check(row.pk)
        assert held
        targets.finish_check(held, is_reachable=True, lines=[], nodes=[node("gpu-1", state)], due_in=0)
        row.refresh_from_db()
        return row.nodes[0]["seen_at"]

    assert check("down") is None
    contact = check("ready")
    assert contact
    assert check("down") == check("down") == contact
    assert "Last contact" in show(cast, "vic", "targets:targets")


def test_the_heading_tells_the_state_anew_with_the_rest_of_the_page(cast: Cast) -> None:
    row = world.target("gpus", "docker")
    address = reverse("targets:target", args=[*ADDRESS, row.name])
    Target.objects.filter(pk=row.pk).update(is_reachable=None)
    client = browser(cast, "vic")
    assert client.get(address).content.decode().count('id="target-state"') == 1
    Target.objects.filter(pk=row.pk).update(is_reachable=True)
    renewed = client.get(address, headers={"HX-Request": "true"}).content.decode()
    _rest, _oob, state = renewed.partition('<span id="target-state" hx-swap-oob="true">')
    assert "reachable" in state
