"""R15: what somebody did to our replicas by hand is undone, and what is not ours is not touched."""

import json
import time

from apps.audit.models import Entry
from apps.deployments.models import Deployment, Replica, Step
from tests.faults import ROUNDS
from tests.faults.lab import Lab
from tests.faults.storm import Storm
from tests.faults.workers import Crew
from tests.promises.beds import wait_for

FOREIGN = 5 * ROUNDS


def all_run() -> bool:
    return not Deployment.objects.exclude(phase="running").exists()


def test_what_was_removed_or_exchanged_by_hand_is_back_and_what_is_foreign_stays(
    lab: Lab, crew: Crew, chance: object
) -> None:
    Storm("drift", lab, crew, lab.chance)
    foreign = foreign_names(lab)
    for number, name in enumerate(foreign):
        labels = [{}, {"instance": "another", "deployment": "1"}, {"deployment": "1"}][number % 3]
        put(lab, name, labels, "sha256:theirs")
    crew.fork()
    wait_for(all_run)
    ours = [status.name for status in lab.host.list_owned(lab.instance)]
    gone, exchanged = ours[0], ours[-1]
    labels = lab.host.status(exchanged).labels
    since = time.monotonic()
    (lab.host.folder / f"{gone}.json").unlink()
    put(lab, exchanged, {**labels}, "sha256:exchanged")
    wait_for(lambda: Step.objects.filter(name="restart").count() >= 2, seconds=30.0)
    wait_for(all_run, seconds=30.0)
    print(f"\n1 removed, 1 exchanged, {len(foreign)} foreign: all as before after {time.monotonic() - since:.1f} s")
    assert Step.objects.filter(name="restart").count() == 2, "the others were left alone"
    assert [status.name for status in lab.host.list_owned(lab.instance)] == ours
    assert lab.host.status(exchanged).digest == Replica.objects.get(name=exchanged).deployment.build.digest
    assert Entry.objects.filter(action="replica.exchanged").count() == 1
    assert set(foreign) <= set(lab.host.names())


def foreign_names(lab: Lab) -> list[str]:
    """Names that look like ours."""
    pks = [lab.chance.randint(1, 9) for _ in range(FOREIGN)]
    return sorted({f"slipway-{pk}-{lab.chance.randint(1, 9)}-{lab.chance.randint(90, 999)}" for pk in pks})


def put(lab: Lab, name: str, labels: dict[str, str], digest: str) -> None:
    made = {"labels": labels, "digest": digest, "started_at": time.time(), "exit_code": None}
    (lab.host.folder / f"{name}.json").write_text(json.dumps(made))
