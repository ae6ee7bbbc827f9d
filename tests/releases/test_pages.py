"""The release pages: what a reviewer sees, and what the page does not let through."""

import json
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership
from apps.audit.models import Entry
from apps.library.models import Check
from apps.releases import services as releases
from apps.releases import views
from apps.releases.models import Release
from apps.targets import services as targets
from tests import world
from tests.cast import PASSWORD, Cast


@pytest.fixture
def release(cast: Cast) -> Release:
    return releases.propose(
        actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=world.endpoint(cast), note="<b>Try</b>"
    )


def as_(cast: Cast, name: str) -> Client:
    client = Client()
    client.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def page(cast: Cast, name: str, *args: object) -> str:
    return reverse(f"releases:{name}", args=[cast.project.slug, *args])


def test_a_reviewer_sees_the_subject_and_can_decide(cast: Cast, release: Release) -> None:
    text = as_(cast, "rhea").get(page(cast, "release", release.pk)).content.decode()
    assert release.subject in text
    assert "Approve</button>" in text
    assert "&lt;b&gt;Try&lt;/b&gt;" in text


def test_the_author_sees_why_she_cannot_decide(cast: Cast) -> None:
    own = releases.propose(actor=cast.actor("ada"), version=world.ready_version(cast), endpoint=world.endpoint(cast))
    text = as_(cast, "ada").get(page(cast, "release", own.pk)).content.decode()
    assert "Approve</button>" not in text
    assert "You proposed this release" in text


def test_the_sheet_names_who_may_decide(cast: Cast, release: Release) -> None:
    text = as_(cast, "vic").get(page(cast, "release", release.pk)).content.decode()
    may_decide = text[text.index("May decide:") : text.index("Expires")]
    assert ("Rhea" in may_decide, "Ada" in may_decide) == (True, True)
    assert ("Dana" in may_decide, "Omar" in may_decide) == (False, False)
    assert "Nobody else here can approve it" not in text


def test_a_sheet_that_needs_more_people_than_there_are_says_so(cast: Cast) -> None:
    endpoint = world.endpoint(cast, name="strict", approvals_required=3)
    own = releases.propose(actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=endpoint)
    text = as_(cast, "rhea").get(page(cast, "release", own.pk)).content.decode()
    assert "Too few people here can approve it" in text
    assert "Ask an administrator to invite one." in text


def test_a_lone_administrator_is_led_to_inviting_and_to_the_policy(cast: Cast) -> None:
    Membership.objects.exclude(user=cast.user("ada")).update(role="viewer")
    own = releases.propose(actor=cast.actor("ada"), version=world.ready_version(cast), endpoint=world.endpoint(cast))
    client = as_(cast, "ada")
    text = client.get(page(cast, "release", own.pk)).content.decode()
    assert reverse("accounts:members", args=[cast.project.slug]) in text
    policy = reverse("targets:environment_edit", args=[cast.project.slug, "production"])
    way = f"{policy}?next={page(cast, 'release', own.pk)}"
    assert way in text
    form = {"target": own.target_id, "approvals_required": 0, "starts_by_itself": "on", "approval_days": 7}
    back = client.post(way, form).url
    assert back == page(cast, "release", own.pk)
    text = client.get(back).content.decode()
    assert "This can no longer be approved" in text
    assert f"{page(cast, 'propose')}?model=digits&amp;version=1&amp;endpoint=digits" in text


def test_policy_without_approvals_is_told_and_recorded(cast: Cast) -> None:
    endpoint = world.endpoint(cast)
    targets.edit_environment(actor=cast.actor("ada"), environment=endpoint.environment, approvals_required=0)
    entry = Entry.objects.get(action="environment.edited")
    assert json.loads(entry.before)["approvals_required"] == 1
    assert json.loads(entry.after)["approvals_required"] == 0
    own = releases.propose(actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=endpoint)
    sheet = as_(cast, "vic").get(page(cast, "release", own.pk)).content.decode()
    assert "No approval: its environment asked for none" in sheet
    environments = as_(cast, "vic").get(f"/p/{cast.project.slug}/environments/").content.decode()
    assert "nobody has to look at it before it runs" in environments


def test_approving_on_the_page_approves_what_was_shown(cast: Cast, release: Release) -> None:
    answer = as_(cast, "rhea").post(page(cast, "approve", release.pk), {"subject": release.subject})
    assert answer.status_code == 302
    release.refresh_from_db()
    assert release.state == "approved"


def test_a_session_left_open_confirms_the_password_before_it_approves(cast: Cast, release: Release) -> None:
    rhea = cast.user("rhea")
    rhea.set_password(PASSWORD)
    rhea.save()
    client = as_(cast, "rhea")
    form = {"subject": release.subject, "note": "Looks right to me"}
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        sheet = client.get(page(cast, "release", release.pk)).content.decode()
        assert "Approve</button>" not in sheet
        assert "Confirm it is you" in sheet
        answer = client.post(page(cast, "approve", release.pk), form)
        assert answer.status_code == 422
        assert "Looks right to me" in answer.content.decode()
        again = f"{reverse('account_reauthenticate')}?next={page(cast, 'release', release.pk)}"
        assert "Confirm" in client.get(again).content.decode()
        assert client.post(again, {"password": PASSWORD}).url == page(cast, "release", release.pk)
        assert client.post(page(cast, "approve", release.pk), form).status_code == 302


def test_a_session_left_open_cannot_approve_by_the_api_either(cast: Cast, release: Release) -> None:
    client = as_(cast, "rhea")
    address = f"/api/v1/projects/{cast.project.slug}/releases/{release.pk}/approve/"
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        answer = client.post(address, {"subject": release.subject}, content_type="application/json")
    assert answer.status_code == 403
    assert "Confirm your password" in answer.content.decode()


def test_a_stale_page_is_told_so(cast: Cast, release: Release) -> None:
    answer = as_(cast, "rhea").post(page(cast, "approve", release.pk), {"subject": "0" * 64})
    assert answer.status_code == 409
    assert "Reload the page" in answer.content.decode()


def test_rejecting_without_a_comment_is_refused_with_the_reason(cast: Cast, release: Release) -> None:
    answer = as_(cast, "rhea").post(page(cast, "reject", release.pk), {"subject": release.subject})
    assert answer.status_code == 422
    assert "needs a comment" in answer.content.decode()


def test_another_projects_release_does_not_exist(cast: Cast, release: Release) -> None:
    assert as_(cast, "sam").get(page(cast, "release", release.pk)).status_code == 404


def test_the_form_proposes_and_leads_to_the_sheet(cast: Cast) -> None:
    version, endpoint = world.ready_version(cast), world.endpoint(cast)
    form = {
        "version": version.pk,
        "endpoint": endpoint.pk,
        "replicas": 2,
        "memory_mb": 512,
        "canary": "on",
        "note": "New",
    }
    answer = as_(cast, "dana").post(page(cast, "propose"), form)
    made = Release.objects.get()
    assert answer.url == page(cast, "release", made.pk)
    assert (made.replicas, made.options) == (2, {"memory_mb": 512, "canary": True})
    assert "runs as a canary" in as_(cast, "dana").get(answer.url).content.decode()


def test_the_form_is_filled_from_the_address(cast: Cast) -> None:
    version = world.ready_version(cast)
    text = as_(cast, "dana").get(page(cast, "propose"), {"model": "digits", "version": 1}).content.decode()
    assert f'<option value="{version.pk}" selected>' in text


def test_the_list_takes_a_constant_number_of_queries(cast: Cast, django_assert_max_num_queries) -> None:
    for _ in range(5):
        releases.propose(actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=world.endpoint(cast))
    client = as_(cast, "rhea")
    client.get(page(cast, "releases"))
    with django_assert_max_num_queries(20):
        text = client.get(page(cast, "releases")).content.decode()
    assert text.count("for you") == 5


def test_the_evidence_is_folded_under_its_verdict_and_open_where_something_is_wrong(cast: Cast) -> None:
    profile = {"latency_ms": {"p50": 0.5, "p99": 2.0}, "model_memory_bytes": 3 << 20}
    version = world.ready_version(cast, profile=profile)
    for position, key in enumerate(("content", "safety")):
        Check.objects.create(version=version, key=key, position=position, state="passed")
    own = releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast))
    text = as_(cast, "rhea").get(page(cast, "release", own.pk)).content.decode()
    assert "2 of 2 passed" in text
    assert "0.5 ms median, 2 ms p99" in text
    assert "3.0\xa0MB" in text
    assert '<details class="evidence">' in text
    version.checks.filter(key="safety").update(state="warned")
    text = as_(cast, "rhea").get(page(cast, "release", own.pk)).content.decode()
    assert "1 of 2 passed; look at: Safety" in text
    assert '<details class="evidence" open>' in text


def test_a_group_of_the_list_is_read_page_by_page(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "GROUP_SIZE", 2)
    monkeypatch.setattr(views, "PAGE_SIZE", 3)
    for _ in range(4):
        one = releases.propose(
            actor=cast.actor("dana"), version=world.ready_version(cast), endpoint=world.endpoint(cast)
        )
        releases.withdraw(actor=cast.actor("dana"), release=one)
    client = as_(cast, "vic")
    text = client.get(page(cast, "releases")).content.decode()
    assert ("2 of 4" in text, '?group=closed"' in text, '?group=approved"' in text) == (True, True, False)
    first = client.get(page(cast, "releases"), {"group": "closed"}).content.decode()
    onward = re.search(r'rel="next" href="([^"]+)"', first)
    assert onward is not None
    rest = client.get(page(cast, "releases") + unescape(onward[1])).content.decode()
    seen = [re.findall(r">#(\d+)</a>", one) for one in (first, rest)]
    assert [len(one) for one in seen] == [3, 1]
    assert len({*seen[0], *seen[1]}) == 4
