from django.urls import URLPattern, path

from apps.audit import api as calls
from apps.audit import views

# Under /p/<project>/
pages: list[URLPattern] = [
    path("audit/", views.entries, name="entries"),
    path("audit/verify/", views.verify, name="verify"),
]

# Under /api/v1/
api: list[URLPattern] = [
    path("audit/", calls.Entries.as_view(), name="entries"),
    path("audit/export/", calls.Export.as_view(), name="export"),
]
