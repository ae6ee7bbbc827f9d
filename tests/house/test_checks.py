"""The checks themselves: each step of .ci/run names what is there, and defined once."""

import re

from tests.house.sources import ROOT

SCRIPT = (ROOT / ".ci" / "run").read_text()
DEFINED = re.findall(r"^(\w+)\(\) \{$", SCRIPT, re.MULTILINE)


def test_every_step_is_a_function_or_a_program() -> None:
    named = re.findall(r'step "[^"]+" (\S+)', SCRIPT)
    assert [name for name in named if name not in DEFINED and not name.startswith(("python3", "$bin/"))] == []


def test_no_function_is_defined_twice() -> None:
    assert len(DEFINED) == len(set(DEFINED)) > 5
