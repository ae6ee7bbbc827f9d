"""Which copy of a replica counts on a target with several machines, and what it needs next."""

from django.utils import timezone

from apps.deployments.models import Replica
from worker.specs import ReplicaStatus
from worker.tasks.places import NextStep, Places, home_of

NAME = "slipway-1-1-0"


def copy(node: str, state: str = "running", started_at: float = 1.0) -> ReplicaStatus:
    return ReplicaStatus(NAME, state, f"{node}:1", started_at=started_at, node=node)


def step(row: Replica, *copies: ReplicaStatus, draining: tuple[str, ...] = ()) -> NextStep:
    homes = {NAME: home_of(row, copies, draining)} if copies else {}
    return Places(homes, {NAME: list(copies)}, frozenset(draining)).next_step(row)


def served_from(node: str) -> Replica:
    return Replica(name=NAME, node=node, state=Replica.State.RUNNING, started_at=timezone.now())


def test_a_replica_on_a_machine_that_stays_needs_nothing() -> None:
    assert step(served_from("a"), copy("a")) == NextStep()
    assert step(served_from("a")) == NextStep()


def test_on_a_machine_that_drains_a_next_copy_is_started_first() -> None:
    assert step(served_from("a"), copy("a"), draining=("a",)) == NextStep(start=True)


def test_once_there_is_a_next_copy_it_is_the_one_to_switch_to() -> None:
    found = step(served_from("a"), copy("a"), copy("b"), draining=("a",))
    assert found == NextStep(successor=copy("b"))


def test_a_next_copy_that_died_or_drains_too_is_not_switched_to() -> None:
    assert step(served_from("a"), copy("a"), copy("b", "exited"), draining=("a",)) == NextStep(start=True)
    assert step(served_from("a"), copy("a"), copy("b"), draining=("a", "b")) == NextStep(start=True)


def test_what_is_left_where_it_was_served_before_goes() -> None:
    assert step(served_from("b"), copy("a"), copy("b"), draining=("a",)) == NextStep(leftovers=(copy("a"),))


def test_a_machine_that_comes_back_gives_up_what_runs_elsewhere_by_now() -> None:
    older, newer = copy("a", started_at=1.0), copy("b", started_at=2.0)
    assert step(served_from("b"), older, newer) == NextStep(leftovers=(older,))


def test_where_nobody_knows_the_home_the_copy_that_lasts_is_it() -> None:
    assert home_of(None, [copy("a"), copy("b")], ("a",)) == copy("b")
    assert home_of(served_from("a"), [copy("a", "exited"), copy("b")], ()) == copy("b")
