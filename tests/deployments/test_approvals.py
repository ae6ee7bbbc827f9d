"""How long an approval lasts: until it is taken back, expires unused, or another release has taken its place."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.audit.models import Entry
from apps.core.errors import StateConflict
from apps.deployments import selectors
from apps.deployments import services as deployments
from apps.deployments.models import Deployment
from apps.releases import services as releases
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint, Target
from controlplane import selfcheck
from tests.cast import Cast
from tests.deployments.conftest import Look
from worker.drivers.fake import FakeDriver, FakeTarget
from worker.tasks.orphans import clear_orphans

Built = Callable[..., Release]


def start(cast: Cast, release: Release) -> Deployment:
    return deployments.start_release(actor=cast.actor("omar"), release=release)


def lapse(release: Release) -> None:
    Release.objects.filter(pk=release.pk).update(expires_at=timezone.now() - timedelta(seconds=1))


def state_of(release: Release) -> str:
    return Release.objects.get(pk=release.pk).state


def test_what_another_release_has_taken_the_place_of_is_superseded(cast: Cast, built: Built, look: Look) -> None:
    never_started, first, second, later = built(), built(), built(), built()
    look(start(cast, first), times=3)
    assert [state_of(one) for one in (never_started, first, second)] == ["superseded", "approved", "approved"]
    look(start(cast, second), times=3)
    assert [state_of(one) for one in (first, second, later)] == ["superseded", "approved", "approved"]
    entry = Entry.objects.get(action="release.superseded", object_id=str(first.pk))
    assert f'"by":{second.pk}' in entry.after.replace(" ", "")


def test_a_superseded_release_comes_back_by_rolling_back_only(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look
) -> None:
    first, second = built(), built()
    look(start(cast, first), times=3)
    look(start(cast, second), times=3)
    with pytest.raises(StateConflict, match="is superseded"):
        start(cast, first)
    assert [row.release_id for row in selectors.good(endpoint)] == [second.pk, first.pk]

    back = deployments.roll_back(actor=cast.actor("omar"), endpoint=endpoint)

    assert (back.release_id, state_of(first), state_of(second)) == (first.pk, "approved", "approved")
    assert look(back, times=3).phase == "running"
    assert (state_of(first), state_of(second)) == ("approved", "superseded")


def test_what_still_runs_beside_a_new_release_is_not_superseded(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look
) -> None:
    first = start(cast, built())
    look(first, times=3)
    second = start(cast, built())
    look(second, times=2)
    assert state_of(first.release) == "approved", "it serves until the next one is well"


def test_an_approval_that_expired_unused_starts_nothing(cast: Cast, built: Built) -> None:
    release = built()
    lapse(release)
    with pytest.raises(StateConflict, match="has expired"):
        start(cast, release)


@pytest.mark.parametrize(("change", "kind"), [("lapse", "approval_expired"), ("withdraw", "subject_changed")])
def test_an_approval_counts_at_the_moment_of_the_lease(
    cast: Cast, target: FakeTarget, built: Built, look: Look, change: str, kind: str
) -> None:
    deployment = start(cast, built())
    if change == "lapse":
        lapse(deployment.release)
    else:
        releases.withdraw(actor=cast.actor("dana"), release=deployment.release)
    look(deployment, times=2)
    assert (deployment.phase, deployment.failure_kind, target.starts) == ("failed", kind, 0)


def test_what_has_served_once_may_run_again_however_old_its_approval_is(
    cast: Cast, endpoint: Endpoint, built: Built, look: Look
) -> None:
    first, second = start(cast, built()), None
    look(first, times=3)
    lapse(first.release)
    deployments.stop(actor=cast.actor("omar"), deployment=first)
    look(first, times=3)
    deployments.start(actor=cast.actor("omar"), deployment=first)
    assert look(first, times=3).phase == "running"
    second = start(cast, built())
    look(second, times=3)
    back = deployments.roll_back(actor=cast.actor("omar"), endpoint=endpoint)
    assert look(back, times=3).phase == "running"


def test_nothing_is_started_on_a_disabled_target(cast: Cast, endpoint: Endpoint, built: Built, look: Look) -> None:
    first, second, waiting = built(), built(), built()
    look(start(cast, first), times=3)
    second_run = start(cast, second)
    look(second_run, times=3)
    deployments.stop(actor=cast.actor("omar"), deployment=second_run)
    Target.objects.update(is_enabled=False)

    with pytest.raises(StateConflict, match="“lab” is disabled"):
        start(cast, waiting)
    with pytest.raises(StateConflict, match="“lab” is disabled"):
        deployments.start(actor=cast.actor("omar"), deployment=second_run)
    with pytest.raises(StateConflict, match="“lab” is disabled"):
        deployments.roll_back(actor=cast.actor("omar"), endpoint=endpoint)
    assert not selectors.due_starts().exists()


def test_what_is_left_on_a_disabled_target_is_seen_and_cleared(
    cast: Cast, target: FakeTarget, built: Built, look: Look
) -> None:
    look(start(cast, built()), times=3)
    (status,) = target.replicas.values()
    target.replicas["left"] = replace(status, name="left", labels={**status.labels, "deployment": "99999"})
    Target.objects.update(is_enabled=False)

    assert [line.split()[0] for line in selfcheck.orphans(selfcheck.look_around())] == ["left"]
    clear_orphans()
    assert list(target.replicas) == [status.name]


def test_a_copy_on_another_machine_is_verified_before_its_start_too(
    cast: Cast, target: FakeTarget, built: Built, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = start(cast, built())
    look(deployment, times=3)
    Build.objects.update(builder="image", attachments={})  # without the provenance that would vouch for it
    Target.objects.update(draining=[""])  # the fake's only machine has no name
    started: list[str] = []
    monkeypatch.setattr(FakeDriver, "start", lambda driver, spec: started.append(spec.name))

    look(deployment)

    assert started == []
    assert deployment.conditions["unreachable"]["kind"] == "provenance_invalid"
