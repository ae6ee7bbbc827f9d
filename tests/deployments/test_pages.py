"""The endpoint and deployment pages, with something running and with nothing."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.core.errors import Invalid
from apps.deployments import services as deployments
from apps.deployments.models import Deployment, Replica
from apps.deployments.samples import samples, short_request
from apps.deployments.trying import fit_shape, request_from
from apps.monitoring import intake
from apps.monitoring.models import Sample
from apps.releases import services as releases
from apps.releases.models import Build, Release
from apps.targets.models import Endpoint, Environment, Target
from tests.cast import Cast
from tests.deployments.conftest import Look
from tests.world import SIGNATURE
from worker.drivers.fake import FakeTarget

Built = Callable[..., Release]
TABS = ["try", "code", "logs", "history", "settings"]


@pytest.fixture
def omar(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.user("omar"), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def page(name: str, *args: object) -> str:
    return reverse(f"deployments:{name}", args=["digits-team", *args])


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_of_an_empty_endpoint_says_what_to_do(omar: Client, endpoint: Endpoint, tab: str) -> None:
    assert omar.get(page("endpoint", "digits")).status_code == 200
    assert omar.get(page("endpoint_tab", "digits", tab)).status_code == 200


def test_a_running_endpoint_shows_replicas_timeline_and_traffic(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    deployment = deployments.start_release(actor=cast.actor("omar"), release=built())
    look(deployment, times=3)
    text = omar.get(page("endpoint", "digits")).content.decode()
    for words in (f"slipway-{deployment.pk}", "Wait until all are healthy", "100 %", "/digits-team/digits"):
        assert words in text
    for tab in TABS:
        assert omar.get(page("endpoint_tab", "digits", tab)).status_code == 200
    assert omar.get(page("deployment", deployment.pk)).status_code == 200
    assert omar.get(page("endpoints")).status_code == 200


def test_scaling_and_stopping_from_the_page(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    deployment = deployments.start_release(actor=cast.actor("omar"), release=built())
    look(deployment, times=3)
    assert omar.post(page("scale", deployment.pk), {"replicas": 3}).status_code == 302
    assert omar.post(page("scale", deployment.pk), {"replicas": 99}).status_code == 422
    assert omar.post(page("stop", deployment.pk)).status_code == 302
    assert omar.post(page("stop", deployment.pk)).status_code == 409
    deployment.refresh_from_db()
    assert (deployment.replicas, deployment.is_wanted) == (3, False)


def test_the_replica_table_tells_what_each_uses_and_where_it_is(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    deployment = look(deployments.start_release(actor=cast.actor("omar"), release=built(replicas=2)), times=3)
    first, _second = deployment.replica_set.all()
    intake.store_samples([intake.Reading(first.name, deployment.pk, 0.4, 50 << 20)])
    intake.store_samples([intake.Reading(first.name, deployment.pk, 1.25, 300 << 20)])
    Replica.objects.filter(pk=first.pk).update(node="gpu-1")
    text = omar.get(page("endpoint_live", "digits")).content.decode()
    assert (text.count("1.25 <small>"), text.count("300.0"), text.count("0.40 <small>")) == (1, 1, 0)
    assert f'href="{page("node", "lab", "gpu-1")}"' in text
    Sample.objects.update(at=timezone.now() - timedelta(minutes=2))
    assert "1.25 <small>" not in omar.get(page("endpoint_live", "digits")).content.decode()


def test_what_ends_something_asks_first_and_says_what_will_happen(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    first = look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    address = page("endpoint_live", "digits")
    alone = omar.get(address).content.decode()
    assert 'data-confirm="Stop digits v1? Calls to digits are refused from then on' in alone
    assert 'title="No earlier release ran well here' in alone
    assert page("roll_back", "digits") not in alone
    second = look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    look(first, times=2)
    assert 'data-confirm="Roll back to digits v1 (release #' in omar.get(address).content.decode()
    assert (
        'data-confirm="Roll back to digits v1' in omar.get(page("endpoint_tab", "digits", "history")).content.decode()
    )
    deployments.stop(actor=cast.actor("omar"), deployment=second)
    assert page("start", second.pk) in omar.get(address).content.decode()


def test_what_cannot_be_started_now_says_why(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    deployment = look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    deployments.stop(actor=cast.actor("omar"), deployment=deployment)
    Target.objects.update(is_enabled=False)
    text = omar.get(page("endpoint_live", "digits")).content.decode()
    assert 'title="The target “lab” is disabled; nothing is started there. An administrator' in text
    assert page("start", deployment.pk) not in text
    Environment.objects.update(starts_by_itself=False)
    waiting = omar.get(page("release_progress", built().pk)).content.decode()
    assert 'title="The target “lab” is disabled' in waiting


def test_a_release_that_is_overtaken_before_it_is_built_says_so_and_has_not_failed(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    older, newer = built(), built()
    Build.objects.filter(release=older).update(state="queued", due_at=timezone.now())  # all builders are busy
    assert "every 1s" in omar.get(page("release_progress", older.pk)).content.decode()
    look(deployments.start_release(actor=cast.actor("omar"), release=newer), times=3)
    older.refresh_from_db()
    assert older.state == "superseded"
    assert releases.begin_build(older.builds.get().pk) is None
    text = omar.get(page("release_progress", older.pk)).content.decode()
    assert "A newer release took its place before it was built." in text
    for words in ("every 1s", "tone-bad", "Build again"):
        assert words not in text


def test_the_page_of_what_was_built_and_overtaken_looks_for_nothing_more(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    older, newer = built(), built()
    assert "every 1s" in omar.get(page("release_progress", older.pk)).content.decode()
    look(deployments.start_release(actor=cast.actor("omar"), release=newer), times=3)
    assert "every 1s" not in omar.get(page("release_progress", older.pk)).content.decode()


def test_a_failure_is_shown_with_its_log_line(
    cast: Cast, omar: Client, endpoint: Endpoint, target: FakeTarget, built: Built, look: Look
) -> None:
    target.crash_on_start = "OSError: model.onnx <truncated>"
    deployment: Deployment = look(
        deployments.start_release(actor=cast.actor("omar"), release=built()), after=10, times=6
    )
    text = omar.get(page("deployment", deployment.pk)).content.decode()
    assert "model.onnx &lt;truncated&gt;" in text
    assert "crashed" in text


def test_the_review_sheet_compares_with_what_runs(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    first = built()
    look(deployments.start_release(actor=cast.actor("omar"), release=first), times=3)
    second = built()
    text = omar.get(page("release_change", second.pk)).content.decode()
    assert "Runs now" in text
    assert "digits v1" in text
    assert "digits v2" in text


def test_the_lineage_goes_on_with_releases_and_endpoints(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    release = built()
    address = page("lineage", "digits", release.version.number)
    text = omar.get(address).content.decode()
    assert reverse("releases:release", args=["digits-team", release.pk]) in text
    assert "Runs nowhere now." in text
    look(deployments.start_release(actor=cast.actor("omar"), release=release), times=3)
    text = omar.get(address).content.decode()
    assert page("endpoint", "digits") in text
    assert "running" in text


def test_the_model_list_asks_once_where_its_models_run(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look, django_assert_max_num_queries
) -> None:
    look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    address = page("running_now") + "?model=digits&model=other"
    omar.get(address)
    with django_assert_max_num_queries(6):
        text = omar.get(address).content.decode()
    assert 'id="runs-digits"' in text
    assert "runs-other" not in text


@pytest.mark.parametrize(
    ("expected", "values", "shape"),
    [
        ([-1, 2], [1, 2, 3, 4], [2, 2]),
        ([-1, 2], [[1, 2]], [1, 2]),
        ([-1], [1, 2, 3], [3]),
        ([1, 2, 2], [1, 2, 3, 4], [1, 2, 2]),
    ],
)
def test_values_find_their_shape(expected: list, values: list, shape: list) -> None:
    assert fit_shape(expected, values) == shape


def test_an_input_that_does_not_fit_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        request_from(SIGNATURE, {"input": "[1, 2, 3]"})
    assert "input" in caught.value.errors


def test_samples_carry_the_request_and_no_key() -> None:
    golden = {"inputs": [{"name": "input", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}]}
    short = short_request(golden)
    assert short["inputs"][0]["data"] == [1, 2, 3]
    made = samples("http://127.0.0.1:8080/demo/digits", "digits", short)
    assert [sample.name for sample in made] == ["curl", "Python", "tritonclient"]
    assert json.dumps(short) in made[0].code
    assert all("slw_" not in sample.code for sample in made)
    compile(made[1].code, "sample", "exec")
    compile(made[2].code, "sample", "exec")


def test_a_request_nested_without_end_is_refused_and_breaks_nothing(
    cast: Cast, omar: Client, endpoint: Endpoint, built: Built, look: Look
) -> None:
    look(deployments.start_release(actor=cast.actor("omar"), release=built()), times=3)
    answer = omar.post(page("try_it", "digits"), {"raw": "[" * 100_000})
    assert answer.status_code == 422
