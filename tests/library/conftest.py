"""Stories of the library begin with an empty store and disk of their own, and with clients that are signed in."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from apps.library import services as library
from apps.library.models import MLModel, ModelVersion
from tests.cast import Cast

ONNX = b"\x08\x08\x12\x07pytorch" + bytes(500)  # begins like an ONNX file; nobody here opens it


@pytest.fixture(autouse=True)
def own_disk(settings: Any, tmp_path: Path) -> Path:
    settings.SLIPWAY_HOME = tmp_path / "home"
    settings.SLIPWAY_STORE_URL = f"file://{tmp_path}/artifacts"
    settings.SLIPWAY_HOME.mkdir()
    cache.clear()  # it outlives the database of one story
    return tmp_path


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
