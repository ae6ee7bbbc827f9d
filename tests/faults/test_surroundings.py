"""R3, R4: the database or a host goes away in the middle of things; workers live on, and nothing happens twice."""

import random
import time

from django.db import connections

from apps.deployments.models import Deployment
from tests.engines.databases import Cluster
from tests.faults import ROUNDS
from tests.faults.lab import Lab
from tests.faults.storm import Storm
from tests.faults.test_kill_anywhere import judge
from tests.faults.workers import Crew
from tests.promises.beds import wait_for

AWAY_SECONDS = 30.0 if ROUNDS >= 200 else 2.0


def test_a_database_that_goes_away_stops_the_work_and_nothing_else(
    lab: Lab, crew: Crew, chance: random.Random, server: Cluster
) -> None:
    storm = Storm(f"without a database for {AWAY_SECONDS:.0f} s", lab, crew, chance)
    storm.work(workers=2, seconds=1.0)
    workers = set(crew.alive)
    server.stop()
    try:
        wait_for(lambda: all(f"worker {pid} lost its database" in crew.errors.read_text() for pid in workers))
        runs = lab.host.names()
        time.sleep(AWAY_SECONDS)
        assert lab.host.names() == runs, "what runs goes on"
    finally:
        server.start()
        connections.close_all()  # ours broke too
    crew.look()
    assert crew.alive == workers, "no worker died of it"
    storm.work(workers=2, seconds=0.5)
    judge(storm.settle())


def test_a_host_that_goes_away_in_the_middle_is_waited_for(lab: Lab, crew: Crew, chance: random.Random) -> None:
    storm = Storm("with their host away", lab, crew, chance)
    crew.fork()
    wait_for(lambda: not Deployment.objects.exclude(phase="running").exists())
    routed, runs = lab.routed(), lab.host.names()
    lab.host.is_away(True)
    for endpoint in lab.endpoints:
        lab.start(endpoint)
    late = Deployment.objects.filter(live_at=None)
    wait_for(lambda: all("unreachable" in row.conditions for row in late.all()))
    assert lab.routed() == routed, "what served before serves on"
    assert lab.host.names() == runs
    lab.host.is_away(False)
    since = time.monotonic()
    wait_for(lambda: not late.filter(is_wanted=True).exists(), seconds=60.0)
    print(f"\n{len(lab.endpoints)} deployments waited for their host, and ran {time.monotonic() - since:.1f} s later")
    judge(storm.settle())
