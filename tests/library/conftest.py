"""Stories of the library begin with an empty store and disk of their own, and with clients that are signed in."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.cache import cache
from django.test import Client
from moto.server import ThreadedMotoServer
from rest_framework.test import APIClient

from apps.library import services as library
from apps.library.models import MLModel, ModelVersion
from apps.library.store import Store, open_store
from tests.cast import Cast

ONNX = b"\x08\x08\x12\x07pytorch" + bytes(500)  # begins like an ONNX file; nobody here opens it


@pytest.fixture(autouse=True)
def own_disk(settings: Any, tmp_path: Path) -> Path:
    settings.SLIPWAY_HOME = tmp_path / "home"
    settings.SLIPWAY_STORE_URL = f"file://{tmp_path}/artifacts"
    settings.SLIPWAY_HOME.mkdir()
    cache.clear()  # it outlives the database of one story
    return tmp_path


@pytest.fixture(scope="session")
def bucket_service() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket_settings(bucket_service: str) -> dict[str, str]:
    """What a process needs to reach an S3 service that holds one empty bucket, ``models``."""
    requests.post(f"{bucket_service}/moto-api/reset", timeout=20).raise_for_status()
    requests.put(f"{bucket_service}/models", timeout=20).raise_for_status()
    return {
        "SLIPWAY_STORE_URL": "s3://models/team",
        "AWS_ENDPOINT_URL": bucket_service,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


@pytest.fixture
def bucket(bucket_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in bucket_settings.items():
        monkeypatch.setenv(name, value)
    open_store.cache_clear()
    return open_store(bucket_settings["SLIPWAY_STORE_URL"])


@pytest.fixture
def digits(cast: Cast) -> MLModel:
    return library.create_model(actor=cast.actor("dana"), project=cast.project, name="digits", task="classification")


@pytest.fixture
def upload_version(
    cast: Cast, digits: MLModel, django_capture_on_commit_callbacks: Any, queue: list
) -> Callable[..., ModelVersion]:
    """Make a version of ``digits`` by Dana, out of one ONNX file unless told otherwise."""

    def make(files: dict[str, bytes] | None = None, model: MLModel = digits, **facts: object) -> ModelVersion:
        dana = cast.actor("dana")
        stored = [
            library.store_file(actor=dana, project=model.project, name=name, stream=io.BytesIO(data))
            for name, data in (files or {"digits.onnx": ONNX}).items()
        ]
        with django_capture_on_commit_callbacks(execute=True):
            return library.create_version(actor=dana, model=model, files=stored, **facts)  # type: ignore[arg-type]

    return make


@pytest.fixture
def browser(cast: Cast) -> Callable[[str], Client]:
    def sign_in(name: str) -> Client:
        client = Client()
        client.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return sign_in


@pytest.fixture
def api(cast: Cast) -> Callable[[str], APIClient]:
    def sign_in(name: str) -> APIClient:
        client = APIClient()
        client.force_login(cast.user(name), backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    return sign_in
