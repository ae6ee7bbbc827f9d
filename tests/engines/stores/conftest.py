"""One server of each kind for all stories; each story has a database and an empty bucket of its own."""

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.db import connection
from pytest_django import DjangoDbBlocker

from apps.library.store import Store, open_store
from tests.cast import Cast, gather
from tests.engines import buckets
from tests.engines.buckets import S3
from tests.engines.databases import Cluster, cluster, used_here

_number = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture
def database(server: Cluster, django_db_blocker: DjangoDbBlocker, settings: Any, tmp_path: Path) -> Iterator[str]:
    """The name of a database with all tables, which is the default one until the story ends; commits are real."""
    settings.SLIPWAY_HOME = tmp_path / "home"  # what was seen of another story's audit log lies in its own
    settings.SLIPWAY_HOME.mkdir()
    name = f"story_{next(_number)}"
    with django_db_blocker.unblock(), used_here(server.create_with_tables(name)):
        yield name


def is_somebody_waiting() -> bool:
    """Whether anybody on the server waits for a lock, asked from within a transaction or not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return cursor.fetchone() is not None


@pytest.fixture
def people(database: str) -> Cast:
    return gather()


@pytest.fixture(scope="session")
def service() -> Iterator[S3]:
    with buckets.serve() as running:
        yield running


@pytest.fixture
def bucket_settings(service: S3) -> dict[str, str]:
    """The environment of a process that finds one empty bucket, ``models``."""
    client: Any = service.client()
    with suppress(ClientError):
        client.create_bucket(Bucket="models")
    for session in client.list_multipart_uploads(Bucket="models").get("Uploads", []):
        client.abort_multipart_upload(Bucket="models", Key=session["Key"], UploadId=session["UploadId"])
    for found in client.list_objects_v2(Bucket="models").get("Contents", []):
        client.delete_object(Bucket="models", Key=found["Key"])
    return service.settings()


@pytest.fixture
def bucket(bucket_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name, value in bucket_settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers the keys of others
    open_store.cache_clear()
    yield open_store(os.environ["SLIPWAY_STORE_URL"])
    open_store.cache_clear()
