"""``/metrics``: who may ask, and what is answered."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apps.accounts.models import ApiKey
from apps.core import keys
from apps.core.errors import Missing
from apps.core.metrics import MetricsMiddleware
from apps.monitoring import services
from apps.monitoring.models import Channel
from apps.monitoring.views.exposition import metrics
from tests.cast import Cast


def ask(address: str = "127.0.0.1", **headers: str) -> dict[str, dict[tuple, float]]:
    """Every sample by name and labels."""
    request = RequestFactory(headers=headers).get("/metrics", REMOTE_ADDR=address)
    families = text_string_to_metric_families(metrics(request).content.decode())
    found: dict[str, dict[tuple, float]] = {}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_what_is_due_is_counted(cast: Cast, queue: list) -> None:
    channel = Channel.objects.create(project=cast.project, name="stage", kind="fake")
    services.test_channel(actor=cast.actor("omar"), channel=channel)
    answer = ask()
    assert answer["slipway_jobs_due"]["deliver",] == 1
    assert answer["slipway_jobs_oldest_due_seconds"]["deliver",] >= 0
    assert answer["slipway_audit_entries"][()] == 1


def test_answers_are_counted_by_view_and_class(db: None) -> None:
    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=204)

    before = ask().get("slipway_web_requests_total", {}).get(("GET", "none", "2xx"), 0)
    MetricsMiddleware(answer)(RequestFactory().get("/anywhere/at/all"))
    after = ask()
    assert after["slipway_web_requests_total"]["GET", "none", "2xx"] == before + 1
    assert after["slipway_web_request_duration_seconds_count"]["none",] >= 1


def test_from_elsewhere_a_key_that_may_read_is_needed(cast: Cast) -> None:
    minted = keys.mint(keys.CI)
    key = ApiKey.objects.create(
        key_id=minted.key_id,
        prefix=keys.CI,
        last4=minted.text[-4:],
        digest=keys.digest(settings.SLIPWAY_PEPPERS[0], minted.secret),
        name="prometheus",
        project=cast.project,
        scopes=["read"],
        created_by=cast.user("ada"),
        expires_at=timezone.now() + timedelta(days=1),
    )
    assert ask("192.0.2.7", Authorization=f"Bearer {minted.text}")
    ApiKey.objects.filter(pk=key.pk).update(scopes=["upload"])
    for headers in ({"Authorization": f"Bearer {minted.text}"}, {"Authorization": "Bearer nonsense"}, {}):
        with pytest.raises(Missing):
            ask("192.0.2.7", **headers)
    with pytest.raises(Missing):
        ask("127.0.0.1", **{"X-Forwarded-For": "192.0.2.7"})
