"""Resumable uploads over HTTP: tus 1.0 core with creation, termination and checksum (https://tus.io/protocols).

Bodies are read in small pieces and never as a whole: neither ``request.body`` nor ``request.data`` is touched, so
that memory stays flat whatever is sent.
"""

import base64
import binascii
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.urls import reverse
from django.utils.http import http_date
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import exceptions, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.selectors import get_project
from apps.core.idempotency import IdempotentMixin, harmless
from apps.library import quota, services
from apps.library.models import Upload
from apps.library.selectors import get_upload
from apps.library.services.uploads import CHECKSUMS, Checksum, Read

VERSION = "1.0.0"
EXTENSIONS = "creation,termination,checksum,expiration"
CHUNK_TYPE = "application/offset+octet-stream"
SILENCE_SECONDS = 30.0


class OtherProtocol(exceptions.APIException):
    status_code = status.HTTP_412_PRECONDITION_FAILED


class LengthRequired(exceptions.APIException):
    status_code = status.HTTP_411_LENGTH_REQUIRED


def _header(name: str, text: str, *, required: bool = True, type_: Any = str) -> OpenApiParameter:
    return OpenApiParameter(name, type_, OpenApiParameter.HEADER, description=text, required=required)


RESUMABLE = _header("Tus-Resumable", f"The protocol's version: {VERSION}.")


class TusView(APIView):
    """The frame of both addresses: the protocol's version in every answer, and asked of every call but OPTIONS."""

    parser_classes = ()
    measures_bodies = True
    throttle_classes = ()  # a large file is thousands of calls

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Where proxies let only GET and POST pass, a client names the method it means in a header."""
        if request.method == "POST":
            request.method = request.headers.get("X-HTTP-Method-Override", "POST").upper()
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            raise OtherProtocol(_("Speak tus %(version)s: send the header Tus-Resumable.") % {"version": VERSION})

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        if response.status_code in (204, 412):
            response["Tus-Version"] = VERSION
        return response

    @extend_schema(exclude=True)
    def options(self, request: Request, *args: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        return Response(
            status=status.HTTP_204_NO_CONTENT,
            headers={
                "Tus-Extension": EXTENSIONS,
                "Tus-Max-Size": str(quota.max_bytes()),
                "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
            },
        )


class Uploads(IdempotentMixin, TusView):
    asked_in_headers = ("Upload-Length", "Upload-Metadata")

    @extend_schema(
        operation_id="uploads_create",
        summary="Begin a resumable upload",
        description=(
            "The answer's `Location` is where the bytes go. What could never be kept is refused here, before it is "
            "sent: 413 above the size limit, 422 for a name or beyond the project's quota."
        ),
        parameters=[
            RESUMABLE,
            _header("Upload-Length", "Bytes of the whole file.", type_=int),
            _header(
                "Upload-Metadata",
                "Comma-separated `name base64(value)`: `filename` and `project` are required; `sha256` (hexadecimal) "
                "is compared when all bytes are in. Example: `filename ZGlnaXRzLm9ubng=,project ZGVtbw==`",
            ),
        ],
        request=None,
        responses={201: OpenApiResponse(OpenApiTypes.OBJECT, '`{"id": "…"}`, with `Location` and `Upload-Expires`.')},
    )
    def post(self, request: Request) -> Response:
        facts = parse_metadata(request.headers.get("Upload-Metadata", ""))
        upload = services.create_upload(
            actor=request.actor,  # type: ignore[attr-defined]
            project=get_project(request.actor, facts.get("project", "")),  # type: ignore[attr-defined]
            name=facts.get("filename", ""),
            size=_whole_number(request, "Upload-Length"),
            sha256=facts.get("sha256", ""),
        )
        address = reverse("library_api:upload", args=[upload.pk])
        headers = {"Location": address, "Upload-Expires": _date(upload.expires_at)}
        return Response({"id": str(upload.pk)}, status=status.HTTP_201_CREATED, headers=headers)


class UploadDetail(IdempotentMixin, TusView):
    @extend_schema(
        operation_id="uploads_stand",
        summary="How far an upload has come",
        parameters=[RESUMABLE],
        responses={200: OpenApiResponse(None, "The headers `Upload-Offset`, `Upload-Length` and `Upload-Expires`.")},
    )
    def head(self, request: Request, upload_id: UUID) -> Response:
        upload = get_upload(request.actor, upload_id)  # type: ignore[attr-defined]
        return Response(headers={**_progress(upload), "Upload-Length": str(upload.size)})

    @extend_schema(
        operation_id="uploads_append",
        summary="Send the next bytes",
        description="409 for another offset than the present one, or while another connection is sending.",
        parameters=[
            RESUMABLE,
            _header("Upload-Offset", "Where these bytes begin.", type_=int),
            _header("Upload-Checksum", "`sha256 base64(digest)` of these bytes: 460 if it differs.", required=False),
        ],
        request={CHUNK_TYPE: OpenApiTypes.BINARY},
        responses={204: OpenApiResponse(None, "The headers `Upload-Offset` and `Upload-Expires`.")},
    )
    @harmless
    def patch(self, request: Request, upload_id: UUID) -> Response:
        if request.content_type != CHUNK_TYPE:
            raise exceptions.UnsupportedMediaType(request.content_type)
        upload = services.receive(
            actor=request.actor,  # type: ignore[attr-defined]
            upload=get_upload(request.actor, upload_id),  # type: ignore[attr-defined]
            offset=_whole_number(request, "Upload-Offset"),
            length=_body_length(request),
            read=_reader(request._request),
            checksum=parse_checksum(request.headers.get("Upload-Checksum", "")),
        )
        return Response(status=status.HTTP_204_NO_CONTENT, headers=_progress(upload))

    @extend_schema(
        operation_id="uploads_cancel", summary="Give an upload up", parameters=[RESUMABLE], responses={204: None}
    )
    def delete(self, request: Request, upload_id: UUID) -> Response:
        upload = get_upload(request.actor, upload_id)  # type: ignore[attr-defined]
        services.cancel_upload(actor=request.actor, upload=upload)  # type: ignore[attr-defined]
        return Response(status=status.HTTP_204_NO_CONTENT)


def parse_metadata(header: str) -> dict[str, str]:
    """``"filename ZA==,project ZA=="`` as a dict; ParseError (400) for what is not base64 of UTF-8."""
    facts: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        name, _space, encoded = pair.partition(" ")
        try:
            facts[name] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise exceptions.ParseError(_("Upload-Metadata: “%(name)s” is damaged.") % {"name": name[:40]}) from error
    return facts


def parse_checksum(header: str) -> Checksum | None:
    """``"sha256 <base64>"``; None for an empty header, ParseError (400) for an algorithm or digest that can't be."""
    if not header:
        return None
    algorithm, _space, encoded = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise exceptions.ParseError(_("Upload-Checksum: use one of %(known)s.") % {"known": ", ".join(CHECKSUMS)})
    try:
        return Checksum(algorithm, base64.b64decode(encoded, validate=True))
    except binascii.Error as error:
        raise exceptions.ParseError(_("Upload-Checksum: the digest is not base64.")) from error


def _reader(request: HttpRequest) -> Read:
    """Reads of the body; a connection that breaks or falls silent reads as its end, so that what came is kept.

    A laptop that was closed says no goodbye: without a limit its connection would hold the upload for ever.
    """
    if line := request.META.get("gunicorn.socket"):
        line.settimeout(SILENCE_SECONDS)

    def read(size: int) -> bytes:
        try:
            return request.read(size)
        except UnreadablePostError:
            return b""

    return read


def _whole_number(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise exceptions.ParseError(_("The header %(header)s must be a whole number.") % {"header": header})
    return int(text)


def _body_length(request: Request) -> int:
    if not request.headers.get("Content-Length"):
        raise LengthRequired(_("Send the pieces with a Content-Length."))
    return _whole_number(request, "Content-Length")


def _progress(upload: Upload) -> dict[str, str]:
    return {"Upload-Offset": str(upload.offset), "Upload-Expires": _date(upload.expires_at)}


def _date(at: datetime) -> str:
    return http_date(at.timestamp())
