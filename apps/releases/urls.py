from django.urls import URLPattern, path

from apps.releases import api as calls

pages: list[URLPattern] = []  # under /p/<project>/
_release = "projects/<slug:project>/releases/<int:pk>/"
api: list[URLPattern] = [  # under /api/v1/
    path("projects/<slug:project>/releases/", calls.ReleaseList.as_view(), name="releases"),
    path(_release, calls.ReleaseDetail.as_view(), name="release"),
    path(f"{_release}approve/", calls.ReleaseApprove.as_view(), name="approve"),
    path(f"{_release}reject/", calls.ReleaseReject.as_view(), name="reject"),
    path(f"{_release}withdraw/", calls.ReleaseWithdraw.as_view(), name="withdraw"),
]
