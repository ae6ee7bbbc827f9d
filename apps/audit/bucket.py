"""Copies of checkpoints in an S3 bucket: ``s3://bucket/prefix``."""

from collections.abc import Iterator
from urllib.parse import SplitResult

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from apps.audit.copies import SUFFIX, Place, away

_TIMES = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 2})


class Bucket(Place):
    """Credentials, region and endpoint come from the environment, as for the store of artifacts."""

    def __init__(self, url: SplitResult) -> None:
        self.bucket, self.prefix = url.netloc, f"{url.path.strip('/')}/".lstrip("/")
        self.client = boto3.client("s3", config=_TIMES)

    def put(self, name: str, text: str) -> None:
        try:
            self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=text.encode())
        except (BotoCoreError, ClientError) as error:
            raise away(self.bucket, error) from error

    def names(self) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix)
        try:
            for page in pages:
                for one in page.get("Contents", []):
                    if one["Key"].endswith(SUFFIX):
                        yield one["Key"].removeprefix(self.prefix)
        except (BotoCoreError, ClientError) as error:
            raise away(self.bucket, error) from error

    def get(self, name: str) -> str:
        try:
            found = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
            return str(found["Body"].read().decode(errors="replace"))
        except (BotoCoreError, ClientError) as error:
            raise away(self.bucket, error) from error
