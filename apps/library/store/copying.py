"""Copying an object within its bucket, in one call or, when it is too large for that, in parts side by side.

boto3 can do this too, but makes each part conditional on the source's ETag, and Swift compares that with another than
it has given. Nobody changes our sources: a draft is complete before it is copied.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

PART = 256 << 20  # bytes: many short calls finish sooner than one that takes minutes
AT_ONCE = 4


def copy(client: Any, bucket: str, source: str, key: str, size: int) -> None:
    """Make ``key`` a copy of ``source``, whole or not at all."""
    origin = {"Bucket": bucket, "Key": source}
    if size <= PART:
        client.copy_object(Bucket=bucket, Key=key, CopySource=origin)
        return
    begun = client.create_multipart_upload(Bucket=bucket, Key=key)
    upload = {"Bucket": bucket, "Key": key, "UploadId": begun["UploadId"]}
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            numbers = range(1, -(-size // PART) + 1)
            parts = list(pool.map(lambda number: _copy_part(client, upload, origin, number, size), numbers))
        client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    except BaseException:
        with suppress(BotoCoreError, ClientError):
            client.abort_multipart_upload(**upload)
        raise


def _copy_part(client: Any, upload: dict[str, str], origin: dict[str, str], number: int, size: int) -> dict[str, Any]:
    first = (number - 1) * PART
    span = f"bytes={first}-{min(first + PART, size) - 1}"
    answer = client.upload_part_copy(**upload, PartNumber=number, CopySource=origin, CopySourceRange=span)
    return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}
