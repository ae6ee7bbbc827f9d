"""The search over everything finds what a person may see, and nothing else."""

from apps.core.search import find
from apps.releases import services as releases
from tests import world
from tests.cast import Cast


def test_models_versions_releases_endpoints_and_people_are_found(cast: Cast) -> None:
    version = world.ready_version(cast)
    release = releases.propose(actor=cast.actor("dana"), version=version, endpoint=world.endpoint(cast))
    actor = cast.actor("rhea")
    kinds = {str(hit.kind) for hit in find(actor, cast.project, "digits")}
    assert kinds == {"Model", "Release", "Endpoint"}
    assert "digits v1" in [hit.label for hit in find(actor, cast.project, "digits v1")]
    assert [hit.label for hit in find(actor, cast.project, f"#{release.pk}")] == [str(release)]
    assert "Dana" in [hit.label for hit in find(actor, cast.project, "dana")]


def test_another_project_is_not_searched(cast: Cast) -> None:
    world.ready_version(cast)
    assert find(cast.actor("sam"), cast.elsewhere, "digits") == []
