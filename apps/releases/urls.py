from django.urls import URLPattern, path

from apps.releases import api as calls
from apps.releases import views
from apps.releases.attachments import FILES

pages: list[URLPattern] = [  # under /p/<project>/
    path("releases/", views.releases, name="releases"),
    path("releases/new/", views.propose, name="propose"),
    path("releases/<int:pk>/", views.release, name="release"),
    path("releases/<int:pk>/approve/", views.decide, {"decision": "approve"}, name="approve"),
    path("releases/<int:pk>/reject/", views.decide, {"decision": "reject"}, name="reject"),
    path("releases/<int:pk>/comment/", views.comment, name="comment"),
    path("releases/<int:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("releases/<int:pk>/build/", views.retry_build, name="retry_build"),
    *[
        path(f"releases/<int:pk>/builds/<int:build>/{part}/", views.attachment, {"part": part}, name=f"build_{part}")
        for part in FILES
    ],
]
_release = "projects/<slug:project>/releases/<int:pk>/"
api: list[URLPattern] = [  # under /api/v1/
    path("projects/<slug:project>/releases/", calls.ReleaseList.as_view(), name="releases"),
    path(_release, calls.ReleaseDetail.as_view(), name="release"),
    path(f"{_release}approve/", calls.ReleaseApprove.as_view(), name="approve"),
    path(f"{_release}reject/", calls.ReleaseReject.as_view(), name="reject"),
    path(f"{_release}comments/", calls.ReleaseComments.as_view(), name="comments"),
    path(f"{_release}withdraw/", calls.ReleaseWithdraw.as_view(), name="withdraw"),
]
