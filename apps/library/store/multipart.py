"""A draft in a bucket: bytes go on to S3 while they arrive, and what is too little for a part waits on the disk."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from s3transfer.utils import ReadFileChunk

from apps.library import partial
from apps.library.store.base import Draft, Stored, chunks_of, hash_file
from apps.library.store.tally import Tally

if TYPE_CHECKING:
    from apps.library.store.bucket import BucketStore

PART = 16 << 20  # bytes of one part at least
MAX_PARTS = 9_000  # S3 takes 10,000


class Part(NamedTuple):
    number: int
    etag: str
    size: int


class BucketDraft(Draft):
    """A multipart upload that the bucket knows about, and its tail: the bytes behind the last part, in a file.

    The tail's file is named by where it begins, so that one left behind, here or on another host, is never taken for
    what follows other parts. Only the bucket's own list of parts counts after a restart.
    """

    def __init__(self, store: "BucketStore", name: str, size: int) -> None:
        self.store, self.name, self.key = store, name, store.incoming(name)
        self.part_bytes = max(PART, -(-size // MAX_PARTS))
        self.session = next((found["UploadId"] for found in self._sessions()), "")
        self.parts = list(self._list_parts())
        self.is_whole = not self.session and self._find_whole()
        self.base = sum(part.size for part in self.parts)
        self.tail = self._open_tail()
        self.end = self.base + self.tail.seek(0, os.SEEK_END)
        self.tally = Tally(name, self.end, self._etags())

    def close(self) -> None:
        self.tail.close()

    def cut(self, offset: int) -> int:
        """Parts stay: what lies in them has been flushed before, or the sender would be told of less."""
        self.end = self.base + partial.cut(self.tail, max(offset - self.base, 0))
        if self.end != self.tally.end:
            self.tally = Tally(self.name, self.end, self._etags())
        return self.end

    def append(self, data: bytes) -> None:
        partial.write_all(self.tail, data)
        self.tally.add(data)
        self.end += len(data)

    def flush(self) -> None:
        sent = 0
        while self.end - self.base - sent >= self.part_bytes:
            self._send(sent, self.part_bytes)
            sent += self.part_bytes
        if sent:
            self._move_tail(sent)
        partial.sync(self.tail)
        self.tally.keep(self._etags())

    def seal(self) -> Stored:
        if not self.parts:
            return self.tally.total() or hash_file(self._tail_path())
        if not self.is_whole:
            self._complete()
        return self.tally.total() or self.store.hash_incoming(self.name)

    def publish(self, stored: Stored) -> None:
        if self.parts:
            self.store.name_incoming(self.name, stored)
        else:
            self.store.adopt(self._tail_path(), stored)

    def _complete(self) -> None:
        """Put the parts together. Naming each by its ETag proves that they are the ones which were counted."""
        if rest := self.end - self.base:
            self._send(0, rest)
            self._move_tail(rest)
            self.tally.keep(self._etags())
        whole = [{"PartNumber": part.number, "ETag": part.etag} for part in self.parts]
        answer = self.store.client.complete_multipart_upload(**self._upload(), MultipartUpload={"Parts": whole})
        self.parts, self.is_whole = [Part(0, answer["ETag"], self.end)], True
        self.tally.keep(self._etags())

    def _send(self, at: int, size: int) -> None:
        """One part out of the tail, read from the file while it is sent."""
        self.session = self.session or self._begin()
        number = len(self.parts) + 1
        with ReadFileChunk.from_filename(str(self._tail_path()), at, size) as body:
            answer = self.store.client.upload_part(**self._upload(), PartNumber=number, Body=body)
        self.parts.append(Part(number, answer["ETag"], size))

    def _begin(self) -> str:
        answer = self.store.client.create_multipart_upload(Bucket=self.store.bucket, Key=self.key)
        return str(answer["UploadId"])

    def _move_tail(self, sent: int) -> None:
        """What was not sent begins a new file. A crash before that costs only bytes that nobody was told were safe."""
        rest = self.tail
        rest.seek(sent)
        self.base += sent
        self.tail = self._create_tail()
        with rest:
            for chunk in chunks_of(rest):
                partial.write_all(self.tail, chunk)
        self._drop_other_tails()

    def _open_tail(self) -> BinaryIO:
        self._drop_other_tails()
        return self._create_tail()

    def _create_tail(self) -> BinaryIO:
        handle = os.open(self._tail_path(), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        return os.fdopen(handle, "r+b", buffering=0)

    def _drop_other_tails(self) -> None:
        for path in partial.tails_of(self.name):
            if path != self._tail_path():
                path.unlink(missing_ok=True)

    def _tail_path(self) -> Any:
        return partial.tail_of(self.name, self.base)

    def _upload(self) -> dict[str, str]:
        return {"Bucket": self.store.bucket, "Key": self.key, "UploadId": self.session}

    def _sessions(self) -> Iterator[dict[str, Any]]:
        return (found for found in self.store.list_sessions(self.key) if found["Key"] == self.key)

    def _list_parts(self) -> Iterator[Part]:
        if not self.session:
            return
        for page in self.store.client.get_paginator("list_parts").paginate(**self._upload()):
            for part in page.get("Parts", []):
                yield Part(part["PartNumber"], part["ETag"], part["Size"])

    def _find_whole(self) -> bool:
        """Whether the parts were put together before, and the object waits for its name."""
        found = self.store.look_up(self.key)
        if found is not None:
            self.parts = [Part(0, found["ETag"], found["ContentLength"])]
        return found is not None

    def _etags(self) -> list[str]:
        return [part.etag for part in self.parts]
