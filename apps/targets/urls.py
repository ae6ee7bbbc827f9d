from django.urls import URLPattern, path

from apps.targets import api as calls
from apps.targets import views

pages: list[URLPattern] = [  # under /p/<project>/
    path("targets/", views.targets, name="targets"),
    path("targets/new/", views.target_new, name="target_new"),
    path("targets/new/try/", views.target_try, name="target_new_try"),
    path("targets/new/tried/<int:pk>/", views.target_trial, name="trial"),
    path("targets/<slug:name>/", views.target, name="target"),
    *[
        path(f"targets/<slug:name>/{verb}/", views.target_act, {"verb": verb}, name=f"target_{verb}")
        for verb in ("check", "enable", "disable")
    ],
    path("targets/<slug:name>/edit/", views.target_edit, name="target_edit"),
    path("targets/<slug:name>/edit/try/", views.target_try, name="target_edit_try"),
    *[
        path(f"targets/<slug:name>/nodes/<str:node>/{verb}/", views.node_act, {"verb": verb}, name=f"node_{verb}")
        for verb in ("drain", "undrain")
    ],
    path("environments/", views.environments, name="environments"),
    path("environments/new/", views.environment_new, name="environment_new"),
    path("environments/<slug:name>/", views.environment_edit, name="environment_edit"),
    path("new-endpoint/", views.endpoint_new, name="endpoint_new"),
    path("endpoints/<slug:endpoint>/edit/", views.endpoint_edit, name="endpoint_edit"),
]
api: list[URLPattern] = [  # under /api/v1/
    path("targets/", calls.TargetList.as_view(), name="targets"),
    path("targets/<slug:name>/", calls.TargetDetail.as_view(), name="target"),
    path("targets/<slug:name>/check/", calls.TargetCheck.as_view(), name="target_check"),
    path("targets/<slug:name>/nodes/", calls.TargetNodes.as_view(), name="target_nodes"),
    *[
        path(f"targets/<slug:name>/nodes/<str:node>/{verb}/", view.as_view(), name=f"node_{verb}")
        for verb, view in (("drain", calls.NodeDrain), ("undrain", calls.NodeUndrain))
    ],
    path("projects/<slug:project>/environments/", calls.EnvironmentList.as_view(), name="environments"),
    path("projects/<slug:project>/environments/<slug:name>/", calls.EnvironmentDetail.as_view(), name="environment"),
]
