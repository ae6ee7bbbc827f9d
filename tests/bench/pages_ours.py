"""Measures the pages for ``tests.bench.pages``, which runs it on a database that it made: one JSON line."""

import json
import random
import sys
from datetime import datetime, timedelta
from typing import Any

from tests.bench import direct
from tests.bench.direct import Call
from tests.bench.library_ours import fill as fill_library

ENDPOINTS, ENTRIES, RULES_EACH, KEYS = 20, 10_000, 3, 60
P = "/p/digits-team"
PAGES = {
    "overview": f"{P}/",
    "overview, refreshed": f"{P}/endpoint-figures/",
    "releases": f"{P}/releases/",
    "release": f"{P}/releases/1/",
    "endpoints": f"{P}/endpoints/",
    "endpoint": f"{P}/endpoints/endpoint-07/",
    "endpoint, refreshed": f"{P}/endpoints/endpoint-07/live/",
    "monitoring, 1 hour": f"{P}/monitoring/",
    "monitoring, 6 hours": f"{P}/monitoring/?range=6h",
    "monitoring, 6 hours by release": f"{P}/monitoring/?range=6h&by=release",
    "monitoring, 6 hours by replica": f"{P}/monitoring/?range=6h&by=replica",
    "monitoring, 6 hours and yesterday": f"{P}/monitoring/?range=6h&compare=day",
    "monitoring, 24 hours": f"{P}/monitoring/?range=24h",
    "monitoring, 7 days": f"{P}/monitoring/?range=7d",
    "monitoring, 30 days": f"{P}/monitoring/?range=30d",
    "charts, 1 hour": f"{P}/monitoring/endpoint-07/charts/",
    "charts, 6 hours": f"{P}/monitoring/endpoint-07/charts/?range=6h",
    "charts, 24 hours": f"{P}/monitoring/endpoint-07/charts/?range=24h",
    "charts, 7 days": f"{P}/monitoring/endpoint-07/charts/?range=7d",
    "alerts": f"{P}/alerts/",
    "alert rules": f"{P}/alerts/rules/",
    "channels": f"{P}/alerts/channels/",
    "audit": f"{P}/audit/",
    "audit, searched": f"{P}/audit/?search=endpoint-07",
    "members": f"{P}/members/",
    "keys": f"{P}/keys/",
    "environments": f"{P}/environments/",
    "targets": f"{P}/targets/",
    "projects": "/projects/",
    "profile": "/profile/",
}


def main(rounds: int) -> None:
    direct.begin()
    print(json.dumps({name: direct.measure(call, rounds) for name, call in stage().items()}))


def stage() -> dict[str, Call]:
    """Fill the project; what to measure, by name, as an administrator sees it."""
    from tests.cast import gather

    cast = gather()
    fill_library(cast)
    fill_watch(cast)
    caller, cookie = direct.Caller(), {"Cookie": direct.sign_in(cast.user("ada"))}
    return {name: caller.calling("GET", address, cookie) for name, address in PAGES.items()}


def fill_watch(cast: Any) -> None:
    """20 endpoints under way for a month, with rules, alerts, keys, and what people did written down."""
    from django.db import transaction
    from django.utils import timezone

    from apps.accounts import services as accounts
    from apps.audit import services as audit
    from apps.monitoring import services
    from apps.monitoring.models import Alert
    from tests.monitoring.traffic import serving

    now = timezone.now()
    for number in range(ENDPOINTS):
        deployment = serving(cast, f"endpoint-{number:02}", live_at=now - timedelta(days=29))
        fill_windows(deployment, now)
        for metric in ("latency_p99", "error_share", "requests")[:RULES_EACH]:
            rule = services.create_rule(
                actor=cast.actor("omar"),
                project=cast.project,
                endpoint=deployment.endpoint,
                name=f"{metric} of {deployment.endpoint}",
                metric=metric,
                operator=">",
                threshold=1e6,
                window_seconds=300,
                for_seconds=60,
                severity="warning",
                channels=[],
            )
            Alert.objects.create(rule=rule, state="resolved", value=1, since=now, fired_at=now, resolved_at=now)
    with transaction.atomic():
        for number in range(KEYS):
            accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name=f"Key {number}", scopes=["read"])
        for number in range(ENTRIES):
            after = {"replicas": number % 7}
            audit.record(cast.actor("omar"), "deployments.scale", deployment.endpoint, before={}, after=after)


def fill_windows(deployment: Any, now: datetime) -> None:
    """What stands in the database after a month of calls: fine windows of late, then coarser ones; samples of a day."""
    from apps.monitoring.models import Sample, Window
    from apps.monitoring.rollup import KEPT
    from apps.monitoring.spans import floor
    from tests.monitoring.traffic import window

    shapes = [[9 * random.lognormvariate(0, 0.45) for _ in range(120)] for _ in range(8)]
    made = []
    for seconds, kept in KEPT.items():
        back = min(kept, timedelta(hours=2) if seconds == 10 else timedelta(days=30))
        start = floor(now - back, seconds)
        pattern = [
            window(
                deployment.endpoint,
                deployment,
                start,
                seconds=seconds,
                source="gateway-1" if seconds == 10 else "",
                latencies_ms=shape,
            )
            for shape in shapes
        ]
        for step in range(int((now - start).total_seconds()) // seconds):
            like = pattern[step % len(pattern)]
            facts = {field.attname: getattr(like, field.attname) for field in Window._meta.fields if field.name != "id"}
            made.append(Window(**{**facts, "start": start + timedelta(seconds=seconds * step)}))
    Window.objects.bulk_create(made, batch_size=2000)
    Sample.objects.bulk_create(
        (
            Sample(
                replica_name=replica.name,
                deployment=deployment,
                at=now - timedelta(seconds=10 * step),
                cpu=random.random() / 4,
                memory_bytes=310_000_000,
            )
            for replica in deployment.replica_set.all()
            for step in range(8640)
        ),
        batch_size=5000,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
