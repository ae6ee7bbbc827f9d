from django.urls import URLPattern, path

from apps.targets import api as calls

pages: list[URLPattern] = []  # under /p/<project>/
api: list[URLPattern] = [  # under /api/v1/
    path("targets/", calls.TargetList.as_view(), name="targets"),
    path("targets/<slug:name>/check/", calls.TargetCheck.as_view(), name="target_check"),
    path("targets/<slug:name>/nodes/", calls.TargetNodes.as_view(), name="target_nodes"),
    path("projects/<slug:project>/environments/", calls.EnvironmentList.as_view(), name="environments"),
    path("projects/<slug:project>/environments/<slug:name>/", calls.EnvironmentDetail.as_view(), name="environment"),
    path("projects/<slug:project>/endpoints/", calls.EndpointList.as_view(), name="endpoints"),
]
