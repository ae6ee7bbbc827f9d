"""Toasts with a way back: what the form in the toast posts brings back what was, as a write of its own in the log."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import Entry
from apps.deployments.models import Deployment, Route
from apps.library.models import MLModel
from apps.monitoring import services as monitoring
from tests import world
from tests.cast import Cast
from tests.monitoring.traffic import serving

FORM = re.compile(r'<div class="toast-note.*?<form method="post" action="([^"]+)">(.*?)</form>', re.DOTALL)
FIELD = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


def as_(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def post(client: Client, address: str, data: dict | None = None) -> str:
    """The page that follows a write, with its toast."""
    return client.post(address, data or {}, follow=True).content.decode()


def undo(client: Client, page: str) -> str:
    """Press the toast's button; the page that follows."""
    found = FORM.search(page)
    assert found is not None, page
    data: dict[str, list[str]] = {}
    for name, value in FIELD.findall(found[2]):
        data.setdefault(name, []).append(unescape(value))
    return post(client, unescape(found[1]), {name: value for name, value in data.items() if "csrf" not in name})


def actions() -> list[str]:
    return list(Entry.objects.order_by("seq").values_list("action", flat=True))


def test_a_retired_version_is_brought_back_from_the_toast_and_that_is_undone_again(cast: Cast) -> None:
    version, client = world.ready_version(cast), as_(cast.user("dana"))
    page = post(client, reverse("library:retire_version", args=[cast.project.slug, "digits", 1]))
    page = undo(client, page)
    version.refresh_from_db()
    assert version.state == "ready"
    undo(client, page)
    version.refresh_from_db()
    assert version.state == "retired"
    assert actions() == ["version.retired", "version.restored", "version.retired"]


def test_what_never_passed_offers_no_way_back(cast: Cast) -> None:
    world.ready_version(cast, state="refused", served_format="")
    page = post(as_(cast.user("dana")), reverse("library:retire_version", args=[cast.project.slug, "digits", 1]))
    assert "is retired" in page
    assert FORM.search(page) is None


def test_versions_retired_together_come_back_together(cast: Cast) -> None:
    first, second = world.ready_version(cast), world.ready_version(cast, "wine")
    client, address = as_(cast.user("dana")), reverse("library:retire_versions", args=[cast.project.slug])
    page = post(client, address, {"version": ["digits/1", "wine/1"], "sure": "yes"})
    first.refresh_from_db()
    assert first.state == "retired"
    undo(client, page)
    for version in (first, second):
        version.refresh_from_db()
        assert version.state == "ready"


def test_a_tag_is_taken_back_only_where_it_was_new_and_the_list_stays_as_it_was(cast: Cast) -> None:
    world.ready_version(cast)
    world.ready_version(cast, "wine")
    MLModel.objects.filter(name="wine").update(tags=["demo"])
    client = as_(cast.user("dana"))
    address = reverse("library:tag_models", args=[cast.project.slug]) + "?ordering=name"
    page = post(client, address, {"models": ["digits", "wine"], "tag": "demo"})
    assert MLModel.objects.get(name="digits").tags == ["demo"]
    assert '<option value="name" selected>' in page
    page = undo(client, page)
    tags = dict(MLModel.objects.values_list("name", "tags"))
    assert tags == {"digits": [], "wine": ["demo"]}
    assert '<option value="name" selected>' in page


def test_a_disabled_target_is_enabled_from_the_toast(cast: Cast) -> None:
    row, ines = world.target(), User.objects.create(email="ines@example.com", name="Ines", is_superuser=True)
    client = as_(ines)
    page = post(client, reverse("targets:target_disable", args=[cast.project.slug, row.name]))
    row.refresh_from_db()
    assert not row.is_enabled
    undo(client, page)
    row.refresh_from_db()
    assert row.is_enabled
    assert actions() == ["target.edited", "target.edited"]


def test_a_channel_says_in_its_way_back_what_it_shall_be(cast: Cast) -> None:
    channel, _secret = monitoring.create_channel(
        actor=cast.actor("omar"), project=cast.project, name="Room", kind="mail", config={"to": ["a@example.com"]}
    )
    client = as_(cast.user("omar"))
    page = post(client, reverse("monitoring:channel_toggle", args=[cast.project.slug, channel.pk]))
    channel.refresh_from_db()
    assert not channel.is_enabled
    monitoring.change_channel(actor=cast.actor("ada"), channel=channel, is_enabled=True)
    undo(client, page)  # somebody was faster: it stays on
    channel.refresh_from_db()
    assert channel.is_enabled


@pytest.fixture
def pair(cast: Cast) -> tuple[Deployment, Deployment]:
    """Two deployments at one endpoint; the first has all the traffic."""
    now = timezone.now()
    first, second = serving(cast, live_at=now), serving(cast, live_at=now)
    Route.objects.all().delete()
    Route.objects.create(endpoint=first.endpoint, deployment=first, weight=100)
    return first, second


def test_a_traffic_split_goes_back_to_the_shares_before(cast: Cast, pair: tuple[Deployment, Deployment]) -> None:
    first, second = pair
    client = as_(cast.user("omar"))
    address = reverse("deployments:set_traffic", args=[cast.project.slug, first.endpoint.name])
    page = post(client, address, {f"weight_{first.pk}": 30, f"weight_{second.pk}": 70})
    assert dict(Route.objects.values_list("deployment", "weight")) == {first.pk: 30, second.pk: 70}
    undo(client, page)
    assert dict(Route.objects.values_list("deployment", "weight")) == {first.pk: 100}
    assert actions()[-2:] == ["endpoint.traffic_set", "endpoint.traffic_set"]
