"""An inert pickle machine: walks a pickle as Python would, importing and calling nothing.

Every name is compared with an exact list; objects are stubs that remember only where they came from. The machine is
stricter than Python's two: it accepts what picklers of protocol 2 to 5 write for ordinary models, and nothing that
the two would read differently. A pickle that passes is still opened only inside the sandbox.

The stream of joblib is a pickle with raw array bytes between its instructions: see ``pickled_arrays``.
"""

from collections.abc import Mapping
from typing import Any

from worker.inspection.allowlist import Allowed
from worker.inspection.pickle_machine import Buffer, Findings, Machine, Step
from worker.inspection.pickle_steps import STEPS
from worker.inspection.pickle_values import Bag, Broken, Name, Record, Stub


def walk(data: Buffer, allowed: Allowed | None, steps: Mapping[int, Step] = STEPS) -> Findings:
    """Everything that opening ``data`` would touch.

    Raises Forbidden for what is not in ``allowed`` and Broken for what no pickler writes. ``allowed=None`` records
    all names without judging them; it exists to generate the list and decides nothing. ``steps`` are the instructions
    that are understood: torch's pickles have one more.
    """
    machine = Machine(data, 0, allowed, Findings())
    root = machine.run(steps)
    if machine.pos != len(data):
        raise Broken(f"{len(data) - machine.pos} bytes follow its end")
    machine.findings.root = root.name if isinstance(root, Stub | Name) else _kind(root)
    return machine.findings


def _kind(value: Any) -> str:
    if isinstance(value, Bag):
        return value.kind
    return "dict" if isinstance(value, Record) else type(value).__name__
