"""Every address of the web process. Pages of a project live under ``/p/<project>/``, the API under ``/api/v1/``."""

from types import ModuleType

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_replace
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.accounts import urls as accounts
from apps.audit import urls as audit
from apps.deployments import urls as deployments
from apps.library import urls as library
from apps.monitoring import urls as monitoring
from apps.monitoring.views.exposition import metrics
from apps.releases import urls as releases
from apps.targets import urls as targets
from controlplane import health

APPS: dict[str, ModuleType] = {
    "accounts": accounts,
    "library": library,
    "releases": releases,
    "targets": targets,
    "deployments": deployments,
    "monitoring": monitoring,
    "audit": audit,
}

# Swagger writes styles into its elements; on this page, which shows nothing that people typed, it may.
read_schema = csp_replace({"style-src": [SELF, UNSAFE_INLINE]})(SpectacularSwaggerSplitView.as_view(url_name="schema"))

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.answer, name="health"),
    path("", include((accounts.site, "site"))),
    path("accounts/", include("allauth.urls")),
    *[path("p/<slug:project>/", include((app.pages, name))) for name, app in APPS.items()],
    *[path("api/v1/", include((app.api, f"{name}_api"))) for name, app in APPS.items()],
    path("metrics", metrics, name="metrics"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", read_schema, name="api_docs"),
]

handler400 = "apps.core.answers.malformed"
handler404 = "apps.core.answers.missing"
handler500 = "apps.core.answers.broken"
