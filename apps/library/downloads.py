"""Files on their way out: one as it is, or a whole version as a zip that is made while it is sent.

Nothing is copied on the server's disk, and memory stays flat. An archive holds ``files/…`` as they were uploaded,
``slipway-manifest.json``, which says what they are, and ``SHA256SUMS`` for ``sha256sum -c SHA256SUMS``.
"""

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from apps.library.models import ModelVersion, VersionFile
from apps.library.store import Store, get_store
from apps.library.store.base import CHUNK, chunks_of

LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can tell: the same files make the same bytes
MANIFEST, SUMS, FOLDER = "slipway-manifest.json", "SHA256SUMS", "files/"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def send_version(version: ModelVersion, files: Sequence[VersionFile]) -> HttpResponseBase:
    """All files of a version with their manifest, as an attachment."""
    response = StreamingHttpResponse(archived(version, files, get_store()), content_type="application/zip")
    return _as_attachment(response, f"{_name(version)}.zip")


def check_command(version: ModelVersion) -> str:
    """What to type beside the downloaded archive, to check every byte of it without Slipway."""
    name = _name(version)
    return f"unzip {name}.zip -d {name} && cd {name} && sha256sum -c {SUMS}"


def send_file(file: VersionFile, request: HttpRequest) -> HttpResponseBase:
    """One file as an attachment; the part of it that ``Range`` names, so that a download can be resumed (RFC 9110)."""
    size, tag = file.artifact.size, f'"{file.artifact_id}"'
    asked = request.headers.get("Range", "") if request.headers.get("If-Range", tag) == tag else ""
    span = find_span(asked, size)
    if span is None:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = StreamingHttpResponse(_piece(file, *span), content_type="application/octet-stream")
    if len(range(*span)) < size:
        response.status_code = 206
        response["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
    response["Content-Length"] = str(span[1] - span[0])
    response["Accept-Ranges"], response["ETag"] = "bytes", tag
    return _as_attachment(response, file.name.rsplit("/", 1)[-1])


def find_span(header: str, size: int) -> tuple[int, int] | None:
    """First byte and the one behind the last that a ``Range`` asks for; None where it lies outside.

    Anything but one range of bytes asks for the whole.
    """
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if not found or not any(found.groups()):
        return 0, size
    first, last = found.groups()
    if not first:
        return (max(size - int(last), 0), size) if int(last) else None
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < int(first):
        return 0, size
    return (int(first), end) if int(first) < size else None


def archived(version: ModelVersion, files: Sequence[VersionFile], store: Store) -> Iterator[bytes]:
    """The bytes of the archive, piece by piece."""
    manifest = json.dumps(describe(version, files), indent=2, ensure_ascii=False).encode() + b"\n"
    sums = [(hashlib.sha256(manifest).hexdigest(), MANIFEST)]
    sums += [(file.artifact_id, FOLDER + file.name) for file in files]
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        archive.writestr(_entry(MANIFEST), manifest)
        archive.writestr(_entry(SUMS), "".join(f"{digest}  {name}\n" for digest, name in sums))
        for file in files:
            with store.open(file.artifact_id) as source, _member(archive, FOLDER + file.name) as member:
                for chunk in chunks_of(source):
                    member.write(chunk)
                    yield sink.take()
    yield sink.take()


def describe(version: ModelVersion, files: Sequence[VersionFile]) -> dict[str, Any]:
    """What the manifest says. ``digest`` is the sha256 over the lines “name size sha256” in the order of the names."""
    return {
        "manifest": 1,
        "from": settings.SLIPWAY_WEB_URL,
        "project": version.project.slug,
        "model": version.model.name,
        "version": version.number,
        "state": version.state,
        "digest": version.digest,
        "framework": f"{version.framework} {version.framework_version}".strip(),
        "description": version.description,
        "labels": version.labels,
        "uploaded_by": version.uploaded_by.email,
        "uploaded_at": version.created_at.isoformat(),
        "files": [
            {"name": file.name, "path": FOLDER + file.name, "size": file.artifact.size, "sha256": file.artifact_id}
            for file in files
        ],
    }


def _name(version: ModelVersion) -> str:
    return f"{version.model.name}-v{version.number}"


def _as_attachment(response: HttpResponseBase, name: str) -> HttpResponseBase:
    """No browser opens it as a page, whatever it holds."""
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _piece(file: VersionFile, first: int, end: int) -> Iterator[bytes]:
    with get_store().open(file.artifact_id, first) as stream:
        left = end - first
        while left and (chunk := stream.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, LONG_AGO)
    entry.external_attr = 0o644 << 16
    return entry


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    return archive.open(_entry(name), "w", force_zip64=True)


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
