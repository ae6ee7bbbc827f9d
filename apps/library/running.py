"""Which models run somewhere. The library knows nothing of deployments: whoever does offers to tell.

::

    def find_running(project):
        return Deployment.objects.filter(project=project, …).values_list("release__version__model", flat=True)

    offer(find_running)
"""

from collections.abc import Callable, Iterable

from apps.accounts.models import Project

Finder = Callable[[Project], Iterable[int]]

_finders: list[Finder] = []


def offer(finder: Finder) -> None:
    """Ask this finder, too, from now on."""
    if finder not in _finders:
        _finders.append(finder)


def running_models(project: Project) -> frozenset[int]:
    """The numbers of the project's models of which some version runs now."""
    return frozenset(pk for finder in _finders for pk in finder(project))
