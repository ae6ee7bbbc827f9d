"""Things that stories need on stage: a ready version, an endpoint in an environment on this machine."""

import hashlib
from itertools import count
from typing import Any

from apps.library import index
from apps.library.models import Artifact, MLModel, ModelVersion, VersionFile
from apps.targets.models import Endpoint, Environment, Target
from tests.cast import Cast

SIGNATURE = {
    "inputs": [{"name": "input", "datatype": "FP32", "shape": [-1, 64]}],
    "outputs": [
        {"name": "label", "datatype": "INT64", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]},
    ],
}
_serial = count(1)


def target(name: str = "this-machine", kind: str = "process") -> Target:
    return Target.objects.get_or_create(name=name, defaults={"kind": kind})[0]


def environment(cast: Cast, name: str = "production", **fields: Any) -> Environment:
    fields.setdefault("target", target())
    return Environment.objects.get_or_create(project=cast.project, name=name, defaults=fields)[0]


def endpoint(cast: Cast, name: str = "digits", **policy: Any) -> Endpoint:
    return Endpoint.objects.get_or_create(
        project=cast.project,
        name=name,
        defaults={"environment": environment(cast, **policy), "created_by": cast.user("omar")},
    )[0]


def ready_version(cast: Cast, model: str = "digits", by: str = "dana", **facts: Any) -> ModelVersion:
    """A version as an examination leaves it, of invented bytes; nothing can be served from it."""
    line, is_new = MLModel.objects.get_or_create(
        project=cast.project, name=model, defaults={"created_by": cast.user(by)}
    )
    if is_new:
        index.remember(line)
    number = line.versions.count() + 1
    sha = hashlib.sha256(f"bytes {next(_serial)}".encode()).hexdigest()
    values: dict[str, Any] = {
        "state": "ready",
        "format": "sklearn",
        "framework": "scikit-learn",
        "served_format": "onnx",
        "signature": SIGNATURE,
        "requirements": ["onnxruntime==1.20.0"],
        "size": 1000,
    }
    version = ModelVersion.objects.create(
        model=line, number=number, digest=sha, uploaded_by=cast.user(by), **{**values, **facts}
    )
    artifact = Artifact.objects.create(sha256=sha, size=1000)
    VersionFile.objects.create(version=version, artifact=artifact, name="model.onnx", is_served=True)
    return version
