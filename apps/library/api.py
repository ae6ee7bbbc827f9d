"""The library over HTTP: models, versions, their files and their evidence."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, parsers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.models import Project
from apps.accounts.selectors import get_project
from apps.core.actors import Actor
from apps.core.bodies import announced_bytes
from apps.core.errors import Missing
from apps.core.idempotency import IdempotentMixin
from apps.core.pagination import KeysetPages, page_size
from apps.core.parsers import StrictJSONParser
from apps.library import quota, selectors, services, shapes
from apps.library.bom import make_bom, write_bom
from apps.library.completeness import check_card
from apps.library.downloads import send_file, send_version
from apps.library.facets import NO, YES, ModelFilter
from apps.library.models import MLModel, ModelVersion
from apps.library.serializers import (
    CardIn,
    CardOut,
    CheckOut,
    FileOut,
    ModelEdit,
    ModelIn,
    ModelOut,
    RetirementIn,
    VersionForm,
    VersionIn,
    VersionOut,
    VersionShort,
)


def _query(name: str, text: str, values: Sequence[str] = ()) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.QUERY, description=text, enum=list(values) or None)


SEARCH = _query(
    "search", "Every word must begin a word of the name, a tag, the task, the description, the owner or the card."
)
FRAMEWORK = _query("framework", "As the examination named it, e.g. `scikit-learn`.")
STATE = _query("state", "Of the version; for models: of the latest one.", ModelVersion.State.values)
MODEL_EXAMPLE = OpenApiExample(
    "A classifier",
    {"name": "digits", "description": "Reads one handwritten digit.", "task": "classification", "tags": ["vision"]},
    request_only=True,
)
VERSION_EXAMPLES = [
    OpenApiExample(
        "From an upload",
        {"upload": "8d0f6c8e-6a4f-4b8e-9a53-0d1f7a3a9a11", "description": "100 trees", "labels": {"commit": "4f1c2aa"}},
        request_only=True,
        media_type="application/json",
    )
]


class LibraryView(IdempotentMixin, APIView):
    """What every address here begins with: the actor, and a project that the actor can see."""

    @property
    def actor(self) -> Actor:
        return self.request.actor  # type: ignore[attr-defined, no-any-return]

    @property
    def project(self) -> Project:
        return get_project(self.actor, self.kwargs["project"], "model.view")

    def get_model(self) -> MLModel:
        return selectors.get_model(self.actor, self.project, self.kwargs["model"])

    def get_version(self) -> ModelVersion:
        return selectors.get_version(self.actor, self.project, self.kwargs["model"], self.kwargs["number"])


class Models(LibraryView, generics.GenericAPIView):
    serializer_class = ModelOut
    pagination_class = KeysetPages
    filter_backends = ()

    @extend_schema(
        operation_id="models_list",
        summary="The models of a project",
        parameters=[
            SEARCH,
            _query("tag", "Exactly this tag."),
            _query("task", "Exactly this task."),
            FRAMEWORK,
            STATE,
            _query("owner", "By the e-mail address."),
            _query("running", "Whether some version runs now.", [YES, NO]),
            _query(
                "ordering",
                "The best fit for a search first, else the latest change, unless asked otherwise.",
                list(selectors.ORDERINGS),
            ),
        ],
    )
    def get(self, request: Request, project: str) -> Response:
        pages: KeysetPages = self.paginator  # type: ignore[assignment]
        wanted, cursor = ModelFilter.read(request.query_params), request.query_params.get("cursor", "")
        page = selectors.find_models(self.actor, self.project, wanted, cursor, page_size(request), columns=shapes.MODEL)
        return self.get_paginated_response(list(map(shapes.shape_model, pages.take(page, request))))

    @extend_schema(
        operation_id="models_create",
        summary="Name a new model",
        request=ModelIn,
        responses={201: ModelOut},
        examples=[MODEL_EXAMPLE],
    )
    def post(self, request: Request, project: str) -> Response:
        wanted = ModelIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        model = services.create_model(actor=self.actor, project=self.project, **wanted.validated_data)
        address = reverse("library_api:model", args=[project, model.name])
        return Response(_model_out(self.actor, model), status=status.HTTP_201_CREATED, headers={"Location": address})


class Model(LibraryView):
    @extend_schema(operation_id="models_read", summary="One model", responses=ModelOut)
    def get(self, request: Request, project: str, model: str) -> Response:
        return Response(_model_out(self.actor, self.get_model()))

    @extend_schema(
        operation_id="models_edit", summary="Change what is said about a model", request=ModelEdit, responses=ModelOut
    )
    def patch(self, request: Request, project: str, model: str) -> Response:
        wanted = ModelEdit(data=request.data)
        wanted.is_valid(raise_exception=True)
        edited = services.edit_model(actor=self.actor, model=self.get_model(), **wanted.validated_data)
        return Response(_model_out(self.actor, edited))


class Versions(LibraryView, generics.GenericAPIView):
    serializer_class = VersionShort
    pagination_class = KeysetPages
    filter_backends = ()
    parser_classes = (StrictJSONParser, parsers.MultiPartParser)
    measures_bodies = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            room = get_project(self.actor, kwargs["project"], "version.upload")
            quota.require_form(room, announced_bytes(request._request))

    @extend_schema(
        operation_id="versions_list",
        summary="The versions of a model",
        parameters=[
            _query("search", "Every word must stand in the description or the card, or begin the digest."),
            FRAMEWORK,
            STATE,
            _query("ordering", "Newest first, unless asked otherwise.", list(selectors.VERSION_ORDERINGS)),
        ],
    )
    def get(self, request: Request, project: str, model: str) -> Response:
        wanted = {name: request.query_params.get(name, "") for name in ("search", "framework", "state", "ordering")}
        rows = selectors.list_versions(self.actor, self.get_model(), **wanted).values(*shapes.VERSION_SHORT)
        return self.get_paginated_response(list(map(shapes.shape_version, self.paginate_queryset(rows) or ())))

    @extend_schema(
        operation_id="versions_create",
        summary="Add a version",
        description=(
            "Out of finished uploads (JSON with `upload` or `uploads`), or of small files sent along as a multipart "
            "form: `curl -H 'Authorization: Bearer slw_ci_…' -F file=@digits.onnx -F description='100 trees' …`. The "
            "examination begins at once; watch `state` and `checks` of the version."
        ),
        request={"application/json": VersionIn, "multipart/form-data": VersionForm},
        responses={201: VersionOut},
        examples=VERSION_EXAMPLES,
    )
    def post(self, request: Request, project: str, model: str) -> Response:
        found = self.get_model()
        facts = dict(self.facts)
        ids = [*facts.pop("uploads", []), *filter(None, [facts.pop("upload", None)])]
        version = services.create_version(
            actor=self.actor,
            model=found,
            uploads=selectors.get_uploads(self.actor, found.project, ids),
            files=facts.pop("file", []),
            parent=self._parent(found, facts.pop("parent", "")),
            **facts,
        )
        version.uploaded_by = request.user  # type: ignore[assignment]  # a person: nobody else gets here
        address = reverse("library_api:version", args=[project, model, version.number])
        return Response(shapes.show_new(version), status=status.HTTP_201_CREATED, headers={"Location": address})

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What was sent, checked, with its files put away."""
        wanted = (VersionForm if hasattr(self.request.data, "lists") else VersionIn)(data=self.request.data)
        wanted.is_valid(raise_exception=True)
        project = self.get_model().project
        files = [
            services.store_file(actor=self.actor, project=project, name=file.name, stream=file)
            for file in wanted.validated_data.get("file", [])
        ]
        return {**wanted.validated_data, "file": files}

    def prepare(self) -> None:
        if self.request.method == "POST":
            self.facts  # noqa: B018 — before any transaction

    def _parent(self, model: MLModel, text: str) -> ModelVersion | None:
        if not text:
            return None
        name, _slash, number = text.rpartition("/")
        if not number.isdecimal():
            raise Missing(_("There is no version “%(text)s” in this project.") % {"text": text[:80]})
        return selectors.get_version(self.actor, model.project, name or model.name, int(number))


class Version(LibraryView):
    @extend_schema(operation_id="versions_read", summary="One version", responses=VersionOut)
    def get(self, request: Request, project: str, model: str, number: int) -> Response:
        return Response(shapes.read_version(self.actor, self.project, model, number))

    @extend_schema(
        operation_id="versions_delete",
        summary="Delete a version for good",
        description=(
            "Only what nothing refers to: 409 names the releases and versions that do. The number is never given again."
        ),
        responses={204: None},
    )
    def delete(self, request: Request, project: str, model: str, number: int) -> Response:
        services.delete_version(actor=self.actor, version=self.get_version())
        return Response(status=status.HTTP_204_NO_CONTENT)


class Files(LibraryView):
    @extend_schema(operation_id="versions_files", summary="Files of a version", responses=FileOut(many=True))
    def get(self, request: Request, project: str, model: str, number: int) -> Response:
        return Response(shapes.read_files(self.get_version().pk))


class Checks(LibraryView):
    @extend_schema(operation_id="versions_checks", summary="Evidence about a version", responses=CheckOut(many=True))
    def get(self, request: Request, project: str, model: str, number: int) -> Response:
        return Response(shapes.read_checks(self.get_version().pk))


class Download(LibraryView):
    @extend_schema(
        operation_id="versions_download",
        summary="The uploaded files",
        description=(
            "A zip, made while it is sent: `files/…`, `slipway-manifest.json` with facts and digests of the version, "
            "and `SHA256SUMS`. To check every byte without Slipway: `unzip digits-v1.zip -d digits-v1 && cd digits-v1 "
            "&& sha256sum -c SHA256SUMS`.\n\nWith `?file=` one file as it is. A download of one that broke off is "
            "resumed by `Range` (`curl -C - -O …`); the `ETag` is its sha256."
        ),
        parameters=[
            _query("file", "The name of one file, as listed under `files/`."),
            OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="`bytes=1000-`, with `file` only."),
        ],
        responses={
            (200, "application/zip"): OpenApiTypes.BINARY,
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            416: OpenApiResponse(None, "The range lies behind the end of the file."),
        },
    )
    def get(self, request: Request, project: str, model: str, number: int) -> HttpResponseBase:
        version = self.get_version()
        name = request.query_params.get("file", "")
        files = selectors.choose_files(version, name)
        return send_file(files[0], request._request) if name else send_version(version, files)


class Card(LibraryView):
    @extend_schema(operation_id="versions_card", summary="The card of a version", responses=CardOut)
    def get(self, request: Request, project: str, model: str, number: int) -> Response:
        return Response(_card_out(self.get_version()))

    @extend_schema(
        operation_id="versions_card_edit",
        summary="Write a new revision of the card",
        description="409 where another revision than the one named is in force by now.",
        request=CardIn,
        responses=CardOut,
    )
    def put(self, request: Request, project: str, model: str, number: int) -> Response:
        version = self.get_version()
        self.actor.require("model.edit", version.project)
        wanted = CardIn(data=request.data)
        wanted.is_valid(raise_exception=True)
        told = wanted.validated_data
        services.edit_card(actor=self.actor, version=version, card=told["card"], base=told["revision"])
        return Response(_card_out(version))


class Bom(LibraryView):
    @extend_schema(
        operation_id="versions_bom",
        summary="Bill of materials of a version (CycloneDX 1.6 ML-BOM)",
        responses={(200, "application/vnd.cyclonedx+json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, project: str, model: str, number: int) -> HttpResponseBase:
        text = write_bom(make_bom(selectors.load_evidence(self.get_version())))
        return HttpResponse(text, content_type="application/vnd.cyclonedx+json; version=1.6")


class Retire(LibraryView):
    @extend_schema(
        operation_id="versions_retire",
        summary="Take a version out of use",
        request=RetirementIn,
        responses=VersionOut,
    )
    def post(self, request: Request, project: str, model: str, number: int) -> Response:
        version = services.retire_version(actor=self.actor, version=self.get_version(), note=_note(request))
        return Response(_version_out(self.actor, version))


class Restore(LibraryView):
    @extend_schema(
        operation_id="versions_restore",
        summary="Bring a retired version back into use",
        request=RetirementIn,
        responses=VersionOut,
    )
    def post(self, request: Request, project: str, model: str, number: int) -> Response:
        version = services.restore_version(actor=self.actor, version=self.get_version(), note=_note(request))
        return Response(_version_out(self.actor, version))


def _card_out(version: ModelVersion) -> dict[str, Any]:
    parts = [{"part": found.part.key, "is_there": found.is_there} for found in check_card(version.card)]
    return {"card": version.card, "revision": selectors.card_revision(version), "parts": parts}


def _note(request: Request) -> str:
    wanted = RetirementIn(data=request.data)
    wanted.is_valid(raise_exception=True)
    return str(wanted.validated_data["note"])


def _model_out(actor: Actor, model: MLModel) -> dict[str, Any]:
    rows = selectors.list_models(actor, model.project).filter(pk=model.pk)
    return shapes.shape_model(rows.values(*shapes.MODEL).get())


def _version_out(actor: Actor, version: ModelVersion) -> dict[str, Any]:
    return shapes.read_version(actor, version.project, version.model.name, version.number)
