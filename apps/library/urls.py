from django.urls import URLPattern, path

from apps.library import api as calls
from apps.library import tus

MODEL = "projects/<slug:project>/models/<slug:model>/"
VERSION = f"{MODEL}versions/<int:number>/"

pages: list[URLPattern] = []  # under /p/<project>/

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
    path(f"{VERSION}retire/", calls.Retire.as_view(), name="retire"),
    path(f"{VERSION}restore/", calls.Restore.as_view(), name="restore"),
]
