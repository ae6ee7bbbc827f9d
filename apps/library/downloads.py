"""Files on their way out: one as it is, several as a zip that is made while it is sent."""

import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import FileResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from apps.library.models import VersionFile
from apps.library.store import Store, get_store
from apps.library.store.base import chunks_of

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can tell: the same files make the same bytes


def send_files(files: Sequence[VersionFile], archive_name: str) -> HttpResponseBase:
    """The files as an attachment that no browser opens as a page, whatever they hold."""
    if len(files) == 1:
        response: HttpResponseBase = _send_one(files[0])
    else:
        response = StreamingHttpResponse(zipped(files, get_store()), content_type="application/zip")
        response["Content-Disposition"] = content_disposition_header(True, archive_name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def zipped(files: Sequence[VersionFile], store: Store) -> Iterator[bytes]:
    """The bytes of an uncompressed zip, piece by piece; memory stays flat."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for file in files:
            entry = zipfile.ZipInfo(file.name, LONG_AGO)
            with store.open(file.artifact_id) as source, archive.open(entry, "w", force_zip64=True) as member:
                for chunk in chunks_of(source):
                    member.write(chunk)
                    yield sink.take()
    yield sink.take()


def _send_one(file: VersionFile) -> FileResponse:
    name = file.name.rsplit("/", 1)[-1]
    stream: Any = get_store().open(file.artifact_id)
    response = FileResponse(stream, as_attachment=True, filename=name, content_type="application/octet-stream")
    response["Content-Length"] = str(file.artifact.size)
    return response


class _Sink:
    """Where a zip is written to and taken from: a stream that cannot seek."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
