"""A point of a chart leads to what happened in its minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import Entry
from apps.deployments.models import Deployment, Replica, Step
from apps.monitoring.loglines import lines_between
from apps.monitoring.models import Alert, Window
from apps.monitoring.rollup import roll_up
from apps.monitoring.spans import floor
from tests.cast import Cast
from tests.house.everything import create_rule
from tests.monitoring.traffic import serving, window

SLUG = "digits-team"
Page = Callable[..., str]


@pytest.fixture
def minute() -> datetime:
    """A whole minute, half an hour ago."""
    return floor(timezone.now() - timedelta(minutes=30), 60)


@pytest.fixture
def live(cast: Cast, minute: datetime) -> Deployment:
    return serving(cast, "digits", live_at=minute - timedelta(hours=1), replicas=1)


@pytest.fixture
def page(client: Client, cast: Cast) -> Page:
    def open_page(person: str, start: datetime, *, seconds: int = 60, status: int = 200) -> str:
        client.force_login(cast.user(person))
        query = {"from": start.isoformat(), "to": (start + timedelta(seconds=seconds)).isoformat()}
        answer = client.get(reverse("monitoring:moment", args=[SLUG, "digits"]), query)
        assert answer.status_code == status
        return answer.content.decode()

    return open_page


def line(at: datetime, event: str) -> str:
    return f'{{"at": "{at.astimezone(UTC).isoformat(timespec="milliseconds")}", "level": "info", "event": "{event}"}}'


def write(deployment: Deployment, *lines: str) -> None:
    Replica.objects.filter(deployment=deployment).update(log="\n".join(lines))


def test_lines_without_a_time_belong_to_the_one_before(minute: datetime) -> None:
    early, late = line(minute - timedelta(seconds=1), "early"), line(minute + timedelta(minutes=1), "late")
    inside = line(minute, "inside")
    kept = lines_between(["cut", early, inside, "  its trace", late], minute, minute + timedelta(minutes=1))
    assert kept.lines == [inside, "  its trace"]
    assert kept.oldest == minute - timedelta(seconds=1)
    assert lines_between(["no time at all"], minute, minute + timedelta(minutes=1)).oldest is None


def test_figures_are_of_that_minute_by_deployment(page: Page, live: Deployment, minute: datetime) -> None:
    measured = window(live.endpoint, live, minute, latencies_ms=[70.0] * 25, counts={"2xx": 21, "5xx": 4})
    measured.errors = {"reset": 3, "timeout": 1}
    Window.objects.bulk_create(
        [
            measured,
            window(live.endpoint, None, minute, counts={"5xx": 3}),
            window(live.endpoint, live, minute + timedelta(minutes=1), counts={"2xx": 999}),
        ]
    )
    roll_up()
    text = page("vic", minute)
    assert f"#{live.pk}</a>" in text
    assert '<td class="number">25</td>' in text
    assert 'tone-bad">4<' in text
    assert "reset 3, timeout 1" in text
    assert "70.1 ms" in text or "70 ms" in text
    assert "no replica was ready" in text
    assert "999" not in text


def test_what_happened_around_it_is_told_in_order(page: Page, cast: Cast, live: Deployment, minute: datetime) -> None:
    Deployment.objects.filter(pk=live.pk).update(live_at=minute + timedelta(seconds=20))
    Step.objects.create(
        deployment=live,
        name="healthy",
        state="failed",
        started_at=minute - timedelta(hours=1),
        finished_at=minute + timedelta(seconds=10),
    )
    fired = minute + timedelta(seconds=40)
    Alert.objects.create(
        rule=create_rule(cast, cast.actor("omar")), state="firing", value=1, since=minute, fired_at=fired
    )
    text = page("omar", minute)
    places = [text.index(words) for words in ("Wait until all are healthy", "went live", "“Too many” fired")]
    assert places == sorted(places)
    assert text.count('class="is-inside"') == 3
    assert "went live" not in page("omar", minute - timedelta(minutes=20))


def test_the_log_is_told_to_those_who_may_read_it(page: Page, live: Deployment) -> None:
    entry = Entry.objects.filter(object_type="release", action="release.proposed").get()
    start = floor(entry.at, 60)
    assert "Dana: release.proposed" in page("omar", start)
    assert "Dana: release.proposed" not in page("dana", start)


def test_log_lines_are_those_of_the_minute(page: Page, live: Deployment, minute: datetime) -> None:
    before, inside = line(minute - timedelta(minutes=3), "before"), line(minute + timedelta(seconds=5), "inside")
    write(live, before, inside)
    text = page("dana", minute)
    assert "inside" in text
    assert "&quot;before&quot;" not in text
    assert "no longer kept" not in text
    assert "It wrote nothing in this time." in page("dana", minute + timedelta(minutes=5))


def test_lines_that_are_no_longer_kept_are_said_to_be(page: Page, live: Deployment, minute: datetime) -> None:
    write(live, line(minute + timedelta(minutes=5), "younger"))
    text = page("dana", minute)
    assert "Lines of this time are no longer kept" in text
    assert "younger" not in text


def test_logs_of_replicas_that_are_gone_are_said_to_be_gone(page: Page, live: Deployment, minute: datetime) -> None:
    live.replica_set.all().delete()
    assert "are gone, and their logs with them" in page("omar", minute)


def test_whoever_may_not_read_logs_sees_none(page: Page, live: Deployment, minute: datetime) -> None:
    write(live, line(minute, "secret of the model"))
    assert "secret of the model" not in page("vic", minute)
    assert "secret of the model" in page("dana", minute)


def test_a_longer_stretch_shows_its_worst_minutes(page: Page, live: Deployment, minute: datetime) -> None:
    bad = minute + timedelta(minutes=7)
    good = [window(live.endpoint, live, minute + timedelta(minutes=i), latencies_ms=[9.0]) for i in range(30) if i != 7]
    Window.objects.bulk_create([*good, window(live.endpoint, live, bad, counts={"5xx": 2})])
    text = page("vic", minute, seconds=1800)
    assert f"from={bad:%Y-%m-%dT%H:%M:%SZ}" in text
    assert 'tone-bad">2<' in text


def test_nothing_at_all_is_said_as_such(page: Page, live: Deployment, minute: datetime) -> None:
    text = page("vic", minute - timedelta(minutes=20))
    assert "No request came in this time." in text
    assert "Nothing was changed and nothing fired" in text


def test_minutes_of_long_ago_are_shown_as_their_hour(page: Page, live: Deployment, minute: datetime) -> None:
    assert "this is the whole hour" in page("vic", minute - timedelta(days=30))


def test_strangers_find_no_minute(page: Page, live: Deployment, minute: datetime) -> None:
    page("sam", minute, status=404)
