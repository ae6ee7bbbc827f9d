"""A store in an S3 bucket: ``s3://bucket/prefix``. Credentials, region and endpoint come from the environment."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import SplitResult

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.utils.translation import gettext as _

from apps.core.errors import Missing, Unavailable
from apps.library.store.base import Store, Stored, chunks_of, full_disk_is_unavailable, hash_file, key_of, missing

PART = 16 << 20  # bytes of one part: 10,000 parts hold 160 GB
_TRANSFER = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
_TIMES = Config(connect_timeout=5, read_timeout=60, retries={"mode": "standard", "max_attempts": 4})


class BucketStore(Store):
    """Objects named ``<prefix>/sha256/ab/<digest>``, sent in parts; an object appears only when its last part is in."""

    def __init__(self, url: SplitResult) -> None:
        self.bucket = url.netloc
        self.prefix = url.path.strip("/")
        self.client = boto3.client("s3", config=_TIMES)

    def put(self, source: Path | BinaryIO) -> Stored:
        if isinstance(source, Path):
            return self.adopt(source)
        with full_disk_is_unavailable(), tempfile.NamedTemporaryFile() as spool:  # the name needs all the bytes
            for chunk in chunks_of(source):
                spool.write(chunk)
            spool.flush()
            return self.adopt(Path(spool.name))

    def adopt(self, path: Path) -> Stored:
        stored = hash_file(path)
        if not self.exists(stored.sha256):
            with self._answers(stored.sha256):
                self.client.upload_file(str(path), self.bucket, self._key(stored.sha256), Config=_TRANSFER)
        return stored

    def open(self, sha256: str) -> BinaryIO:
        with self._answers(sha256):
            found = self.client.get_object(Bucket=self.bucket, Key=self._key(sha256))
        return cast(BinaryIO, found["Body"])

    def fetch(self, sha256: str, folder: Path) -> Path:
        path = folder / sha256
        draft = folder / uuid.uuid4().hex
        try:
            with full_disk_is_unavailable(), self._answers(sha256):
                self.client.download_file(self.bucket, self._key(sha256), str(draft), Config=_TRANSFER)
            draft.chmod(0o440)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        return path

    def exists(self, sha256: str) -> bool:
        try:
            with self._answers(sha256):
                self.client.head_object(Bucket=self.bucket, Key=self._key(sha256))
        except Missing:
            return False
        return True

    def delete(self, sha256: str) -> None:
        with self._answers(sha256):
            self.client.delete_object(Bucket=self.bucket, Key=self._key(sha256))

    def _key(self, sha256: str) -> str:
        return f"{self.prefix}/{key_of(sha256)}".lstrip("/")

    @contextmanager
    def _answers(self, sha256: str) -> Iterator[None]:
        """Tell "not there" from "not now"."""
        try:
            yield
        except (BotoCoreError, ClientError, S3UploadFailedError) as error:
            if _is_missing(error):
                raise missing(sha256) from error
            raise Unavailable(
                _("The bucket %(bucket)s did not answer as it should: %(reason)s")
                % {"bucket": self.bucket, "reason": error},
                advice=_("Try again; if it stays so, ask an administrator to check the artifact store."),
            ) from error


def _is_missing(error: Exception) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in {"404", "NoSuchKey"}
