"""A store in an S3 bucket: ``s3://bucket/prefix``. Credentials, region and endpoint come from the environment."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import SplitResult

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.utils.translation import gettext as _

from apps.core.errors import Missing, Unavailable
from apps.library import partial
from apps.library.store import copying, tally
from apps.library.store.base import (
    Draft,
    Kept,
    Store,
    Stored,
    chunks_of,
    full_disk_is_unavailable,
    hash_file,
    hash_stream,
    key_of,
    missing,
)
from apps.library.store.multipart import PART, BucketDraft

_TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
_TIMES = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})
_INCOMING = "incoming/"


class BucketStore(Store):
    """Objects named ``<prefix>/sha256/ab/<digest>``, sent in parts; an object appears only when its last part is in.

    Drafts are objects named ``<prefix>/incoming/<name>``, copied to their digest by the bucket itself.
    """

    def __init__(self, url: SplitResult) -> None:
        self.bucket = url.netloc
        self.prefix = url.path.strip("/")
        self.client = boto3.client("s3", config=_TIMES)

    def prepare(self) -> None:
        with self.answers(self.bucket):
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if not _is_missing(error):
                    raise
                self.client.create_bucket(Bucket=self.bucket)

    def put(self, source: Path | BinaryIO) -> Stored:
        if isinstance(source, Path):
            return self.adopt(source)
        with full_disk_is_unavailable(), tempfile.NamedTemporaryFile() as spool:  # the name needs all the bytes
            for chunk in chunks_of(source):
                spool.write(chunk)
            spool.flush()
            return self.adopt(Path(spool.name))

    def adopt(self, path: Path, known: Stored | None = None) -> Stored:
        stored = known or hash_file(path)
        if not self.exists(stored.sha256):
            with self.answers(stored.sha256):
                self.client.upload_file(str(path), self.bucket, self._key(stored.sha256), Config=_TRANSFER)
        return stored

    @contextmanager
    def draft(self, name: str, size: int) -> Iterator[Draft]:
        with full_disk_is_unavailable(), partial.opened(name), self.answers(name):
            draft = BucketDraft(self, name, size)
            try:
                yield draft
            finally:
                draft.close()

    def discard(self, name: str) -> None:
        partial.discard(name)
        tally.forget(name)
        with self.answers(name):
            for session in self.list_sessions(self.incoming(name)):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=session["Key"], UploadId=session["UploadId"])
            self.client.delete_object(Bucket=self.bucket, Key=self.incoming(name))

    def drafts(self) -> Iterator[str]:
        yield from partial.stored_ids()
        with self.answers(_INCOMING):
            begun = [session["Key"] for session in self.list_sessions(self.incoming(""))]
            whole = [found["Key"] for found in self._list(self.incoming(""))]
        for key in [*begun, *whole]:
            yield key.rpartition("/")[2]

    def disk_bytes(self, size: int) -> int:
        return min(size, 2 * PART)

    def open(self, sha256: str, first: int = 0) -> BinaryIO:
        span = {"Range": f"bytes={first}-"} if first else {}
        with self.answers(sha256):
            found = self.client.get_object(Bucket=self.bucket, Key=self._key(sha256), **span)
        return cast(BinaryIO, found["Body"])

    def fetch(self, sha256: str, folder: Path) -> Path:
        path = folder / sha256
        draft = folder / uuid.uuid4().hex
        try:
            with full_disk_is_unavailable(), self.answers(sha256):
                self.client.download_file(self.bucket, self._key(sha256), str(draft), Config=_TRANSFER)
            draft.chmod(0o440)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def exists(self, sha256: str) -> bool:
        return self.look_up(self._key(sha256)) is not None

    def delete(self, sha256: str) -> None:
        with self.answers(sha256):
            self.client.delete_object(Bucket=self.bucket, Key=self._key(sha256))

    def list_kept(self) -> Iterator[Kept]:
        with self.answers("sha256/"):
            for found in self._list(f"{self.prefix}/sha256/".lstrip("/")):
                yield Kept(found["Key"].rpartition("/")[2], found["Size"], found["LastModified"])

    def incoming(self, name: str) -> str:
        """The key of a draft."""
        return f"{self.prefix}/{_INCOMING}{name}".lstrip("/")

    def list_sessions(self, prefix: str) -> list[dict[str, Any]]:
        """Multipart uploads that nobody has completed, the oldest first."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        found = [session for page in pages for session in page.get("Uploads", [])]
        return sorted(found, key=lambda session: (session["Initiated"], session["UploadId"]))

    def look_up(self, key: str) -> dict[str, Any] | None:
        """What the bucket says of an object, or None without one."""
        try:
            with self.answers(key):
                return cast(dict[str, Any], self.client.head_object(Bucket=self.bucket, Key=key))
        except Missing:
            return None

    def hash_incoming(self, name: str) -> Stored:
        """Digest and size of a whole draft, read once from end to end."""
        return hash_stream(self.client.get_object(Bucket=self.bucket, Key=self.incoming(name))["Body"])

    def name_incoming(self, name: str, stored: Stored) -> None:
        """Copy a whole draft to its digest, within the bucket."""
        if not self.exists(stored.sha256):
            copying.copy(self.client, self.bucket, self.incoming(name), self._key(stored.sha256), stored.size)

    @contextmanager
    def answers(self, what: str) -> Iterator[None]:
        """Tell "not there" from "not now"."""
        try:
            yield
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            if _is_missing(error):
                raise missing(what) from error
            raise Unavailable(
                _("The bucket %(bucket)s did not answer as it should: %(reason)s")
                % {"bucket": self.bucket, "reason": error},
                advice=_("Try again; if it stays so, ask an administrator to check the artifact store."),
            ) from error

    def _list(self, prefix: str) -> Iterator[dict[str, Any]]:
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            yield from page.get("Contents", [])

    def _key(self, sha256: str) -> str:
        return f"{self.prefix}/{key_of(sha256)}".lstrip("/")


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in {"404", "NoSuchKey"}
