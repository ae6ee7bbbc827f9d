"""Words that stand in two places are the same in both: jobs and tasks, kinds and drivers, permissions and roles."""

import ast
import re
from collections.abc import Iterator

from celery import current_app

import worker.tasks.sweep
from apps.accounts import roles
from apps.core.jobs import Job
from apps.monitoring import services as monitoring
from apps.targets import services as targets
from tests.house.sources import read_sources, read_templates
from worker.drivers.registry import DRIVERS
from worker.notifiers.registry import NOTIFIERS

PERMISSION = re.compile(r"[a-z_]+\.[a-z_]+")
ONLY_FOR_TESTS = {"fake"}
CHECKS = {"require", "may", "get_project"}
IN_TEMPLATE = re.compile(r"""\{%\s*may\s+\S+\s+["']([a-z_.]+)["']""")


def test_every_job_is_a_registered_task_and_swept() -> None:
    current_app.loader.import_default_modules()
    registered = {name.removeprefix("slipway.") for name in current_app.tasks if name.startswith("slipway.")}
    assert {str(job) for job in Job} <= registered
    assert registered - {str(job) for job in Job} == {"sweep", "round"}
    assert set(worker.tasks.sweep.ROWS) == set(Job)


def test_every_kind_of_target_has_its_driver() -> None:
    assert set(targets.KINDS) == set(DRIVERS) - ONLY_FOR_TESTS


def test_every_kind_of_channel_has_its_notifier() -> None:
    assert set(monitoring.KINDS) == set(NOTIFIERS) - ONLY_FOR_TESTS


def find_checked_permissions() -> Iterator[tuple[str, str]]:
    """Permissions that our code asks for, with the file that does."""
    for source in read_sources():
        if not source.name.startswith(("apps/", "worker/", "controlplane/")):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call) and _name(node) in CHECKS:
                yield from ((word, source.name) for word in _words(node))
    for name, text in read_templates().items():
        yield from ((word, name) for word in IN_TEMPLATE.findall(text))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _words(call: ast.Call) -> Iterator[str]:
    for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
        if isinstance(argument, ast.Constant) and PERMISSION.fullmatch(str(argument.value)):
            yield argument.value


def test_every_permission_in_use_is_in_the_table() -> None:
    known = roles.PERMISSIONS | roles.SITE
    assert {(word, where) for word, where in find_checked_permissions() if word not in known} == set()


def test_every_permission_of_the_table_is_in_use() -> None:
    used = {word for word, _ in find_checked_permissions()}
    used |= {permission for permission in roles.PERMISSIONS if _is_named_elsewhere(permission)}
    assert (roles.PERMISSIONS | roles.SITE) - used == set()


def _is_named_elsewhere(permission: str) -> bool:
    """Declared on a class or passed on by name, for what checks it later."""
    files = (source for source in read_sources() if source.name.startswith("apps/") and "roles" not in source.name)
    return any(f'"{permission}"' in source.text for source in files)


def test_scopes_grant_only_what_the_table_knows() -> None:
    assert set().union(*roles.BY_SCOPE.values()) <= roles.PERMISSIONS
