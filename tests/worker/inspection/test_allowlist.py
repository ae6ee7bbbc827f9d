"""The list of names: exact, made for what is installed, free of the worst, and changed only in the open."""

import hashlib
import importlib
import subprocess

import pytest
from sklearn.utils import all_estimators

from tests.worker.inspection import generate_allowlist, malice
from worker.inspection import allowlist

# The list as it was last reviewed, name by name. Whoever changes it reads the difference that the failing test prints,
# thinks of what each new name could be made to do, and only then writes the new digest here.
REVIEWED = "97237e65252b7792011c2a80b0dca6df2b1e9db796b1c2c5c59676e9db480571"

# On the list for what its old versions wrote.
GONE = ("numpy.core.",)


def test_a_change_of_the_list_is_seen_and_reviewed() -> None:
    found = hashlib.sha256(allowlist._FILE.read_bytes()).hexdigest()
    assert found == REVIEWED, "\n".join(["The list has changed:", *_changes(), f"Its digest is {found}."])


def _changes() -> list[str]:
    """The difference from what is committed, where there is a history to look at."""
    name = f"HEAD:./{allowlist._FILE.name}"
    done = subprocess.run(
        ["git", "show", name], cwd=allowlist._FILE.parent, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return ["(no history here to compare it with)"]
    return generate_allowlist.differences(allowlist.parse(done.stdout), allowlist.load())


def test_the_list_was_made_for_the_libraries_that_are_installed() -> None:
    first = allowlist._FILE.read_text("utf-8").splitlines()[0]
    assert first == generate_allowlist.versions(), (
        "run tests.worker.inspection.generate_allowlist and read what changes"
    )


def test_the_list_is_sorted_exact_and_free_of_what_must_never_be_on_it() -> None:
    lines = allowlist._FILE.read_text("utf-8").splitlines()
    assert lines == sorted(lines)
    for name, roles in allowlist.load().items():
        module, _, attribute = name.partition(":")
        assert attribute
        assert "." not in attribute
        assert roles
        assert roles <= {allowlist.NEW, allowlist.CALL, allowlist.VALUE}
        assert not name.startswith(allowlist.NEVER), module
    assert not allowlist.load().keys() & set(malice.GADGETS)


def test_every_estimator_of_the_installed_scikit_learn_is_on_it() -> None:
    missing = [
        cls.__name__ for _, cls in all_estimators() if f"{cls.__module__}:{cls.__qualname__}" not in allowlist.load()
    ]
    assert missing == []


@pytest.mark.filterwarnings("ignore")
def test_every_name_on_it_exists_in_the_installed_libraries() -> None:
    """A name that is gone would be one that somebody else could bring along."""
    names = [name for name in allowlist.load() if not name.startswith(GONE)]
    assert [name for name in names if not _exists(name)] == []


def _exists(name: str) -> bool:
    module, _, attribute = name.partition(":")
    return hasattr(importlib.import_module(module), attribute)


def test_differences_are_told_name_by_name() -> None:
    before = allowlist.parse("a:gone new\na:same call\na:wider new\n")
    after = allowlist.parse("a:come value\na:same call\na:wider call new\n")
    told = ["a:come: absent → value", "a:gone: new → absent", "a:wider: new → call new"]
    assert generate_allowlist.differences(before, after) == told
