"""Every address of the web process. Pages of a project live under ``/p/<project>/``, the API under ``/api/v1/``."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("apps.accounts.urls")),
    path("accounts/", include("allauth.urls")),
]
