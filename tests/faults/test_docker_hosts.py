"""R4, R15 and the loss of a host, on real Docker engines: what breaks on the way to a host or on it, and what then."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connections

from apps.audit.models import Entry
from apps.deployments import plan
from apps.deployments.models import Deployment, Replica
from apps.gateway.snapshot import load_snapshot
from apps.gateway.tables import make_snapshot
from apps.targets.models import Endpoint
from tests.cast import gather
from tests.engines.daemons import Daemon
from tests.engines.databases import Cluster, used_here
from tests.engines.hosts.ground import Ground
from tests.fault_proxy import FaultProxy, between
from tests.faults.callers import Caller, Calls, calling, compose
from tests.faults.fleet import Fleet, is_live, note_moments
from tests.gateway.conftest import Gateway, write_snapshot
from tests.promises.beds import wait_for
from worker.drivers.docker_host import hosts as circuits
from worker.drivers.docker_host.policy import LABEL
from worker.tasks import reconcile as reconciling

DOCKER_PORT = 2376
WAITING_SECONDS = 30.0  # until a deployment says that it waits for its host
BACK_SECONDS = 60.0  # from the host's return until all is as wanted
HEALED_SECONDS = 30.0
INTO_A_START = 9000  # bytes to the engine: the first look is over, and a container is on its way
OF_A_CONNECTION = 4000  # the handshake passes, and not much after it
HELD_SECONDS = 15.0  # that a worker who waits for a host that hangs adds to a start elsewhere (may take twice as long)


@pytest.fixture
def fleet(
    server: Cluster, docker_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, django_db_blocker
) -> Iterator[Fleet]:
    circuits._circuits.clear()
    url = server.create_with_tables(f"fleet_{tmp_path.name}")
    monkeypatch.setattr(settings, "SLIPWAY_HOME", tmp_path)
    monkeypatch.setattr(settings, "SLIPWAY_REGISTRY_URL", docker_ground.registry.url)
    monkeypatch.setattr(settings, "SLIPWAY_REGISTRY_CA", docker_ground.registry.ca_file)
    monkeypatch.setattr(reconciling, "refuse_tampered", lambda deployment: None)  # nobody has signed these images
    with django_db_blocker.unblock(), used_here(url):
        yield Fleet(gather(), docker_ground)
        connections.close_all()
    docker_ground.mend()


def refuse(host: Daemon, proxy: FaultProxy) -> Callable[[], None]:
    host.lan.block(host.namespace, proxy.port, "REJECT")
    return lambda: host.lan.unblock(host.namespace, proxy.port, "REJECT")


def swallow(host: Daemon, proxy: FaultProxy) -> Callable[[], None]:
    host.lan.block(host.namespace, proxy.port, "DROP")
    return lambda: host.lan.unblock(host.namespace, proxy.port, "DROP")


def reset(host: Daemon, proxy: FaultProxy) -> Callable[[], None]:
    proxy.most_each = OF_A_CONNECTION
    return lambda: setattr(proxy, "most_each", None)


def hang(host: Daemon, proxy: FaultProxy) -> Callable[[], None]:
    proxy.is_hanging = True
    return lambda: setattr(proxy, "is_hanging", False)


WAYS = {"refused": refuse, "swallowed": swallow, "reset": reset, "hung": hang}


def test_a_host_that_breaks_in_the_middle_of_a_start_in_any_way_is_waited_for(fleet: Fleet) -> None:
    """Each way on a target of its own, all of them the same host, broken at the same time."""
    host, other = fleet.ground.hosts.daemons
    with ExitStack() as opened:
        proxies = {way: opened.enter_context(before(host)) for way in WAYS}
        endpoints = {way: fleet.make_endpoint(way, [at(host, proxy.port)]) for way, proxy in proxies.items()}
        neighbour = fleet.make_endpoint("neighbour", [at(other, DOCKER_PORT)])
        opened.enter_context(fleet.working())
        earlier = {way: fleet.start(endpoint) for way, endpoint in endpoints.items()}
        fleet.wait_until_live(*earlier.values(), fleet.start(neighbour))
        usual = fleet.wait_until_live(fleet.start(neighbour))
        served = {way: fleet.containers(row) for way, row in earlier.items()}

        later, mends, broken = {}, {}, {}
        for way, proxy in proxies.items():
            mark = proxy.sent_up + INTO_A_START
            later[way] = fleet.start(endpoints[way])
            wait_for(lambda proxy=proxy, mark=mark: proxy.sent_up >= mark)
            mends[way], broken[way] = WAYS[way](host, proxy), time.monotonic()
        said = note_moments({way: lambda row=row: waits_for_host(row) for way, row in later.items()}, WAITING_SECONDS)
        beside = fleet.wait_until_live(fleet.start(neighbour))
        assert not any(is_live(row) for row in later.values())
        assert {way: fleet.containers(row) for way, row in earlier.items()} == served, "what serves is left alone"
        assert all(is_live(row) for row in earlier.values())

        for mend in mends.values():
            mend()
        mended = time.monotonic()
        lived = note_moments({way: lambda row=row: is_live(row) for way, row in later.items()}, BACK_SECONDS)
        wait_for(lambda: not any(fleet.containers(row) for row in earlier.values()), seconds=BACK_SECONDS)
        left = {way: sorted(fleet.containers(row)) for way, row in later.items()}
    print(f"\n{len(lived)} of {len(WAYS)} starts survived their host's loss")
    for way in WAYS:
        waited = said[way] - broken[way]
        print(f"  {way}: said so within {waited:.1f} s, live {lived[way] - mended:.1f} s after its return")
    print(f"  a start on another host took {beside:.1f} s meanwhile, {usual:.1f} s before")
    assert {way: len(names) for way, names in left.items()} == dict.fromkeys(WAYS, 2), left
    assert beside < 2 * usual + HELD_SECONDS


def test_what_was_removed_or_exchanged_on_a_host_is_back_and_what_is_foreign_stays(fleet: Fleet) -> None:
    host = fleet.ground.hosts.daemons[0]
    endpoint = fleet.make_endpoint("drift", [at(host, DOCKER_PORT)])
    with fleet.working():
        row = fleet.start(endpoint, replicas=3)
        fleet.wait_until_live(row)
        removed, exchanged, left_alone = sorted(fleet.containers(row).items())
        foreign = put_foreign_containers(host, row)
        host.client.containers.get(removed[1]).remove(force=True)
        exchange(host, exchanged[1])
        since = time.monotonic()
        wait_for(lambda: Replica.objects.filter(deployment=row, restarts=1).count() == 2, seconds=HEALED_SECONDS)
        fleet.wait_until_live(row, seconds=HEALED_SECONDS)
        seconds = time.monotonic() - since
    print(f"\n1 removed, 1 exchanged, {len(foreign)} foreign: all as before after {seconds:.1f} s")
    after = fleet.containers(row)
    assert after.keys() == {removed[0], exchanged[0], left_alone[0]}
    assert after[left_alone[0]] == left_alone[1], "the third was left alone"
    again = host.client.containers.get(after[exchanged[0]])
    assert again.attrs["Config"]["Image"] == row.build.location
    assert Entry.objects.filter(action="replica.exchanged").count() == 1
    assert foreign <= {str(each.id) for each in host.client.containers.list(all=True, ignore_removed=True)}
    assert seconds < HEALED_SECONDS


def test_a_host_that_is_lost_under_load_costs_no_call_but_those_on_its_wire(
    fleet: Fleet, launch: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "UNREADY_SECONDS", 6.0)  # of silence until it is started elsewhere
    lost, other = fleet.ground.hosts.daemons
    endpoint = fleet.make_endpoint("spread", [at(lost, DOCKER_PORT), at(other, DOCKER_PORT)])
    Endpoint.objects.filter(pk=endpoint.pk).update(timeout_seconds=10.0)
    gateway, calls = launch(connect_seconds=2.0, eject_seconds=5.0), Calls()
    path = f"/{endpoint.project.slug}/spread/v2/models/spread/infer"
    key = gateway.make_key(endpoint.project.slug)
    request = compose("POST", path, key, keeps=False, body=b"{}")
    callers = [Caller(lambda: [gateway.port], request, False, calls) for _ in range(4)]
    with fleet.working(), publishing(gateway):
        row = fleet.start(endpoint)
        fleet.wait_until_live(row)
        assert hosts_of(fleet, row) == sorted([lost.name, other.name])
        wait_for(lambda: gateway.call("POST", path, key, b"{}").status == 200)
        with calling(callers):
            time.sleep(2)
            lost.cut()
            since = time.monotonic()
            wait_for(lambda: hosts_of(fleet, row).count(other.name) == 2, seconds=BACK_SECONDS)
            fleet.wait_until_live(row)
            started = time.monotonic() - since
            lost.mend()
            since = time.monotonic()
            wait_for(lambda: hosts_of(fleet, row) == [other.name] * 2, seconds=BACK_SECONDS)
            removed = time.monotonic() - since
            time.sleep(2)
    print(f"\none of two hosts lost under load: {calls}")
    print(f"its replica answers on the other after {started:.1f} s; {removed:.1f} s after its return nothing is left")
    assert set(calls.answers) <= {200, 504}
    assert calls.answers[504] <= len(callers), "no more than what was on the wire when it was cut: nobody can ask twice"
    assert is_live(row)


@contextmanager
def before(host: Daemon) -> Iterator[FaultProxy]:
    """A proxy before a host's engine that is reached where the host is."""
    with between(host.lan.listen(host.namespace), (host.address, DOCKER_PORT)) as proxy:
        yield proxy


def at(host: Daemon, port: int) -> dict[str, str]:
    return {"name": host.name, "url": f"tcp://{host.address}:{port}"}


def waits_for_host(row: Deployment) -> bool:
    return "unreachable" in Deployment.objects.get(pk=row.pk).conditions


def put_foreign_containers(host: Daemon, row: Deployment) -> set[str]:
    """Containers with names like ours: without labels, with labels of another installation, with half of ours."""
    kinds: list[dict[str, str]] = [{}, {"instance": "another", "deployment": str(row.pk)}, {"deployment": str(row.pk)}]
    made = set()
    for number in range(3, 24):
        labels = {f"{LABEL}{name}": value for name, value in kinds[number % 3].items()}
        name = f"slipway-{row.pk}-{row.release_id}-{number}"
        made.add(str(host.client.containers.create(row.build.location, name=name, labels=labels).id))
    return made


def exchange(host: Daemon, container: str) -> None:
    """Put another image under a replica's name, with its labels, as whoever owns the machine can."""
    before = host.client.containers.get(container)
    before.commit("exchanged", "latest")
    before.remove(force=True)
    idle = ["/usr/bin/python3", "-c", "import time; time.sleep(600)"]
    host.client.containers.run("exchanged:latest", entrypoint=idle, name=before.name, labels=before.labels, detach=True)


def hosts_of(fleet: Fleet, row: Deployment) -> list[str]:
    """Where its containers are, each host as often as it has one."""
    return sorted(name.partition("/")[0] for name in fleet.containers(row))


@contextmanager
def publishing(gateway: Gateway) -> Iterator[None]:
    """Let the gateway have the database's routes, as they change."""
    is_over = threading.Event()

    def publish() -> None:
        number = 0
        while not is_over.wait(0.2):
            number += 1
            endpoints = load_snapshot().endpoints.values()
            write_snapshot(gateway.home, make_snapshot(str(number), gateway.keys.values(), endpoints))
        connections.close_all()

    thread = threading.Thread(target=publish, name="publisher")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
