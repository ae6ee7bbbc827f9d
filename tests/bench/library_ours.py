"""Measures our own library for ``tests.bench.library``, which runs it on a database that it made: one JSON line."""

import io
import json
import random
import sys
from typing import Any

from tests.bench import direct
from tests.bench.direct import Call

MODELS, VERSIONS_EACH = 100, 100
CARD = "# Card\n\nWhat it is for, and where it fails.\n" * 100
MODEL = "/p/digits-team/models/model-007/"
API = "/api/v1/projects/digits-team/models/"
PAGES = {
    "page: models": "/p/digits-team/models/",
    "page: models, searched and narrowed": "/p/digits-team/models/?search=model+sort&tag=weekly",
    "page: versions of a model": MODEL,
    "page: one version": f"{MODEL}50/",
    "page: comparison of two versions": "/p/digits-team/compare/?version=model-007/49&version=model-007/50",
    "palette: search over everything": "/p/digits-team/search/?q=model-00",
}
CALLS = {
    "api: one version": f"{API}model-007/versions/50/",
    "api: page of 100 versions": f"{API}model-007/versions/?page_size=100",
    "api: 100 models with their latest version": f"{API}?page_size=100",
    "api: models, searched": f"{API}?search=model+sort&page_size=100",
}


def main(rounds: int) -> None:
    direct.begin()
    print(json.dumps({name: direct.measure(call, rounds) for name, call in stage(rounds).items()}))


def stage(rounds: int) -> dict[str, Call]:
    """Fill the library; what to measure, by name: pages with a person's session, calls with a key."""
    # Models can be imported once Django is set up, and not before.
    from apps.accounts import services as accounts
    from tests.cast import gather

    cast = gather()
    fill(cast)
    key = accounts.issue_key(actor=cast.actor("ada"), project=cast.project, name="CI", scopes=["read", "upload"]).text
    bearer, cookie = {"Authorization": f"Bearer {key}"}, {"Cookie": direct.sign_in(cast.user("dana"))}
    caller = direct.Caller()
    uploads = iter(complete_uploads(cast, key, rounds + direct.WARM))
    return {
        **{name: caller.calling("GET", address, bearer) for name, address in CALLS.items()},
        "api: create a version": caller.calling("POST", f"{API}model-007/versions/", bearer, lambda: next(uploads)),
        **{name: caller.calling("GET", address, cookie) for name, address in PAGES.items()},
    }


def complete_uploads(cast: Any, key: str, count: int) -> list[str]:
    """Bodies that make a version each, out of files that have arrived."""
    from apps.accounts.actors import actor_for_key
    from apps.accounts.authentication import find_key
    from apps.library import services as library

    actor = actor_for_key(find_key(key, "127.0.0.1"))  # type: ignore[arg-type]
    bodies = []
    for number in range(count):
        data = f"\x08\x08\x12\x07pytorch{number}".encode().ljust(500)
        upload = library.create_upload(actor=actor, project=cast.project, name="model.onnx", size=len(data))
        library.receive(actor=actor, upload=upload, offset=0, length=len(data), read=io.BytesIO(data).read)
        bodies.append(json.dumps({"upload": str(upload.pk), "labels": {"commit": "4f1c2aa"}}))
    return bodies


def fill(cast: Any) -> None:
    """100 models of 100 versions, each with a card, checks and a file."""
    from apps.library import index
    from apps.library.evidence import EXPECTED
    from apps.library.models import Artifact, Check, MLModel, ModelVersion, VersionFile

    dana, project = cast.user("dana"), cast.project
    models = MLModel.objects.bulk_create(
        MLModel(
            project=project,
            name=f"model-{number:03}",
            description="A model of some sort",
            task=random.choice(("classification", "regression")),
            tags=random.sample(["weekly", "demo", "vision", "finance"], 2),
            created_by=dana,
        )
        for number in range(MODELS)
    )
    for model in models:
        index.remember(model, card=CARD)
    versions = ModelVersion.objects.bulk_create(
        (
            ModelVersion(
                model=model,
                number=number,
                state=random.choice(("ready", "ready", "refused", "retired")),
                digest=f"{random.getrandbits(256):064x}",
                size=1_000_000,
                description="Night run",
                card=CARD,
                labels={"commit": "4f1c2aa", "run": f"{number}"},
                framework=random.choice(("scikit-learn", "xgboost", "lightgbm")),
                framework_version="1.7.2",
                signature={"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}], "outputs": []},
                profile={"latency_ms": {"p50": 0.1, "p99": 0.2}, "file_bytes": 1_000_000},
                uploaded_by=dana,
            )
            for model in models
            for number in range(1, VERSIONS_EACH + 1)
        ),
        batch_size=2000,
    )
    Artifact.objects.bulk_create(Artifact(sha256=version.digest, size=version.size) for version in versions)
    VersionFile.objects.bulk_create(
        VersionFile(version=version, artifact_id=version.digest, name="model.onnx", is_served=True)
        for version in versions
    )
    Check.objects.bulk_create(
        (
            Check(version=version, key=key, position=position, state="passed", summary={"text": "Fine", "params": {}})
            for version in versions
            for position, key in enumerate(EXPECTED)
        ),
        batch_size=5000,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
