"""A release asks for GPUs: where they can be given, in words where not, and as a part of what is approved."""

import io
from pathlib import Path

import pytest

from apps.core.errors import Invalid
from apps.library.models import Artifact, VersionFile
from apps.library.store import get_store
from apps.releases import services as releases
from apps.releases.models import Build, Release
from apps.targets.models import Environment
from tests import world
from tests.cast import Cast
from tests.releases.test_pages import as_, page
from worker.tasks.build import build_spec


def test_what_is_approved_names_the_gpus(cast: Cast) -> None:
    target = world.target("gpu-hosts", "docker")
    version, endpoint = world.ready_version(cast), world.endpoint(cast, target=target)
    subjects = {releases.subject_of(version, endpoint, target, options) for options in ({}, {"gpus": 1}, {"gpus": 2})}
    assert len(subjects) == 3
    made = releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint, options={"gpus": 2})
    assert made.gpus == 2
    assert "2 GPUs" in as_(cast, "rhea").get(page(cast, "release", made.pk)).content.decode()


@pytest.mark.parametrize(
    ("kind", "served_format", "reason"),
    [("process", "onnx", "cannot set GPUs aside"), ("docker", "skops", "served as skops, which uses no GPU")],
)
def test_a_gpu_that_could_not_be_used_is_refused_in_words(
    cast: Cast, kind: str, served_format: str, reason: str
) -> None:
    endpoint = world.endpoint(cast, target=world.target("somewhere", kind))
    version = world.ready_version(cast, served_format=served_format)
    with pytest.raises(Invalid, match=reason) as caught:
        releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint, options={"gpus": 1})
    assert set(caught.value.errors) == {"gpus"}


def test_the_form_asks_only_where_a_target_may_have_gpus(cast: Cast) -> None:
    endpoint = world.endpoint(cast)
    assert "GPUs per replica" not in as_(cast, "dana").get(page(cast, "propose")).content.decode()
    Environment.objects.update(target=world.target("gpu-hosts", "docker"))
    assert "GPUs per replica" in as_(cast, "dana").get(page(cast, "propose")).content.decode()
    version = world.ready_version(cast, served_format="skops")
    form = {"version": version.pk, "endpoint": endpoint.pk, "replicas": 1, "gpus": 1}
    refused = as_(cast, "dana").post(page(cast, "propose"), form)
    assert refused.status_code == 422
    assert "uses no GPU" in refused.content.decode()
    assert as_(cast, "dana").post(page(cast, "propose"), {**form, "gpus": 0}).status_code == 302
    assert Release.objects.get().options == {}


def test_it_is_built_with_the_packages_that_use_them(cast: Cast, tmp_path: Path) -> None:
    stored = get_store().put(io.BytesIO(b"a model"))
    artifact = Artifact.objects.create(sha256=stored.sha256, size=stored.size)
    endpoint = world.endpoint(cast, target=world.target("gpu-hosts", "docker"))
    for options in ({"gpus": 1}, {}):
        version = world.ready_version(cast)
        VersionFile.objects.filter(version=version).update(artifact=artifact)
        made = releases.propose(actor=cast.actor("dana"), version=version, endpoint=endpoint, options=options)
        assert build_spec(Build(release=made), tmp_path).uses_gpus is bool(options)
