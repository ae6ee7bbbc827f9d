from django.urls import URLPattern, path

from apps.library import api as calls
from apps.library import bulk_views, card_views, compare_views, exception_views, tus, version_views, views
from apps.library import exception_api as exceptions

MODEL = "projects/<slug:project>/models/<slug:model>/"
EXCEPTION = "projects/<slug:project>/exceptions/<int:pk>/"
VERSION = f"{MODEL}versions/<int:number>/"

_exception = "exceptions/<int:pk>/"
_page = "models/<slug:model>/<int:number>/"
pages: list[URLPattern] = [  # under /p/<project>/
    path("models/", views.models, name="models"),
    path("tag-models/", bulk_views.tag_models, {"verb": "tag"}, name="tag_models"),
    path("untag-models/", bulk_views.tag_models, {"verb": "untag"}, name="untag_models"),
    path("retire-versions/", bulk_views.retire_versions, name="retire_versions"),
    path("restore-versions/", bulk_views.restore_versions, name="restore_versions"),
    path("upload/", views.upload, name="upload"),
    path("use-sample/", views.use_sample, name="use_sample"),
    path("compare/", compare_views.compare, name="compare"),
    path("models/<slug:model>/", views.model, name="model"),
    path("models/<slug:model>/edit/", views.edit_model, name="edit_model"),
    path(_page, version_views.version, name="version"),
    path(f"{_page}card/", card_views.edit_card, name="edit_card"),
    path(f"{_page}card/preview/", card_views.preview_card, name="preview_card"),
    path(f"{_page}card.md", card_views.export, name="export_card"),
    path(f"{_page}bom.json", card_views.bom, name="bom"),
    path(f"{_page}tab/<slug:tab>/", version_views.version, name="version_tab"),
    path(f"{_page}live/", version_views.version_live, name="version_live"),
    path(f"{_page}retire/", version_views.retire_version, name="retire_version"),
    path(f"{_page}restore/", version_views.restore_version, name="restore_version"),
    path(f"{_page}delete/", version_views.delete_version, name="delete_version"),
    path(f"{_page}download/", version_views.download, name="download"),
    path(f"{_page}ask-exception/", exception_views.ask_exception, name="ask_exception"),
    path("exceptions/", exception_views.exceptions, name="exceptions"),
    path(_exception, exception_views.exception, name="exception"),
    path(f"{_exception}approve/", exception_views.decide_exception, {"decision": "approve"}, name="approve_exception"),
    path(f"{_exception}reject/", exception_views.decide_exception, {"decision": "reject"}, name="reject_exception"),
    path(f"{_exception}revoke/", exception_views.revoke_exception, name="revoke_exception"),
]

api: list[URLPattern] = [  # under /api/v1/
    path("uploads/", tus.Uploads.as_view(), name="uploads"),
    path("uploads/<uuid:upload_id>/", tus.UploadDetail.as_view(), name="upload"),
    path("projects/<slug:project>/models/", calls.Models.as_view(), name="models"),
    path(MODEL, calls.Model.as_view(), name="model"),
    path(f"{MODEL}versions/", calls.Versions.as_view(), name="versions"),
    path(VERSION, calls.Version.as_view(), name="version"),
    path(f"{VERSION}files/", calls.Files.as_view(), name="files"),
    path(f"{VERSION}checks/", calls.Checks.as_view(), name="checks"),
    path(f"{VERSION}download/", calls.Download.as_view(), name="download"),
    path(f"{VERSION}card/", calls.Card.as_view(), name="card"),
    path(f"{VERSION}bom/", calls.Bom.as_view(), name="bom"),
    path(f"{VERSION}retire/", calls.Retire.as_view(), name="retire"),
    path(f"{VERSION}restore/", calls.Restore.as_view(), name="restore"),
    path(f"{VERSION}exceptions/", exceptions.AskException.as_view(), name="ask_exception"),
    path("projects/<slug:project>/exceptions/", exceptions.Exceptions.as_view(), name="exceptions"),
    path(EXCEPTION, exceptions.ExceptionDetail.as_view(), name="exception"),
    path(f"{EXCEPTION}approve/", exceptions.ApproveException.as_view(), name="approve_exception"),
    path(f"{EXCEPTION}reject/", exceptions.RejectException.as_view(), name="reject_exception"),
    path(f"{EXCEPTION}revoke/", exceptions.RevokeException.as_view(), name="revoke_exception"),
]
