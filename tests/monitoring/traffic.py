"""Invented traffic that looks like the real thing: windows, samples, deployments that serve."""

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from apps.core.histograms import encode, quantise
from apps.deployments.models import Deployment, Replica, Route
from apps.monitoring.models import Sample, Window
from apps.releases import services as releases
from apps.releases.models import Build
from apps.targets.models import Endpoint
from tests import world
from tests.cast import Cast

Load = Callable[[datetime], float]


def serving(cast: Cast, name: str = "digits", *, replicas: int = 2, live_at: datetime, weight: int = 100) -> Deployment:
    """A deployment that runs and takes traffic, as the reconciler leaves it."""
    endpoint = world.endpoint(cast, name)
    release = releases.propose(actor=cast.actor("dana"), version=world.ready_version(cast, name), endpoint=endpoint)
    releases.approve(actor=cast.actor("rhea"), release=release, subject=release.subject)
    Build.objects.filter(release=release).update(state=Build.State.DONE)
    build = Build.objects.get(release=release)
    deployment = Deployment.objects.create(
        project=cast.project,
        endpoint=endpoint,
        release=release,
        build=build,
        target=release.target,
        started_by=cast.user("omar"),
        replicas=replicas,
        phase=Deployment.Phase.RUNNING,
        live_at=live_at,
    )
    for index in range(replicas):
        Replica.objects.create(
            deployment=deployment,
            index=index,
            name=f"slipway-{deployment.pk}-{release.pk}-{index}",
            state=Replica.State.RUNNING,
            started_at=live_at,
        )
    Route.objects.create(endpoint=endpoint, deployment=deployment, weight=weight)
    Deployment.objects.filter(pk=deployment.pk).update(created_at=live_at)
    return deployment


def window(
    endpoint: Endpoint,
    deployment: Deployment | None,
    start: datetime,
    *,
    seconds: int = 10,
    latencies_ms: list[float] | None = None,
    counts: dict[str, int] | None = None,
    source: str = "gateway-1",
    in_flight: int = 1,
) -> Window:
    """A window with exactly these latencies; all of them 2xx unless ``counts`` says otherwise. Not saved."""
    latencies_ms = latencies_ms or []
    counts = {"2xx": len(latencies_ms)} if counts is None else counts
    tally: dict[int, int] = {}
    for latency in latencies_ms:
        micros = quantise(round(latency * 1000))
        tally[micros] = tally.get(micros, 0) + 1
    return Window(
        endpoint=endpoint,
        deployment=deployment,
        start=start,
        seconds=seconds,
        source=source,
        requests=sum(counts.values()),
        counts=counts,
        bytes_in=300 * sum(counts.values()),
        bytes_out=180 * sum(counts.values()),
        in_flight_max=in_flight,
        histogram=encode(tally).encode(),
    )


def wave(at: datetime) -> float:
    """About five requests a second, now more and now fewer."""
    return 5 + 2.5 * math.sin(at.timestamp() / 3600 * 2.1) + 1.2 * math.sin(at.timestamp() / 97)


def traffic(
    deployment: Deployment,
    start: datetime,
    end: datetime,
    *,
    seconds: int = 10,
    load: Load = wave,
    median_ms: float = 9.0,
    slow: tuple[datetime, datetime] | None = None,
    seed: int = 1,
) -> None:
    """Windows and samples between two moments; between those of ``slow`` calls take long and some fail."""
    dice = random.Random(seed)
    replicas = list(deployment.replica_set.all())
    windows, samples = [], []
    for step in range(int((end - start).total_seconds()) // seconds):
        at = start + timedelta(seconds=seconds * step)
        is_slow = slow is not None and slow[0] <= at < slow[1]
        calls = max(0, round(load(at) * seconds + dice.gauss(0, 3)))
        median = median_ms * (10 if is_slow else 1)
        failed = calls // 12 if is_slow else int(dice.random() < 0.04)
        counts = {"2xx": max(0, calls - failed), "5xx": failed, "4xx": int(dice.random() < 0.05)}
        windows.append(
            window(
                deployment.endpoint,
                deployment,
                at,
                seconds=seconds,
                latencies_ms=[median * math.exp(dice.gauss(0, 0.45)) for _ in range(min(calls, 120))],
                counts={kind: count for kind, count in counts.items() if count},
                in_flight=1 + calls // 25 + (8 if is_slow else 0),
            )
        )
        samples += [
            Sample(
                replica_name=one.name,
                deployment=deployment,
                at=at,
                cpu=0.04 + calls / seconds * 0.012 * dice.uniform(0.8, 1.2) + (0.5 if is_slow else 0),
                memory_bytes=int(310e6 + 9e6 * one.index + 3e6 * dice.random()),
            )
            for one in replicas
        ]
    Window.objects.bulk_create(windows)
    Sample.objects.bulk_create(samples)
