from django.urls import URLPattern, path

from apps.deployments import api as calls

pages: list[URLPattern] = []  # under /p/<project>/
_deployment = "projects/<slug:project>/deployments/<int:pk>/"
_endpoint = "projects/<slug:project>/endpoints/<slug:endpoint>/"
api: list[URLPattern] = [  # under /api/v1/
    path("projects/<slug:project>/deployments/", calls.DeploymentList.as_view(), name="deployments"),
    path(_deployment, calls.DeploymentDetail.as_view(), name="deployment"),
    path(f"{_deployment}stop/", calls.DeploymentStop.as_view(), name="stop"),
    path(f"{_deployment}start/", calls.DeploymentStart.as_view(), name="start"),
    path(f"{_deployment}scale/", calls.DeploymentScale.as_view(), name="scale"),
    path(f"{_deployment}logs/", calls.DeploymentLogs.as_view(), name="logs"),
    path(f"{_deployment}timeline/", calls.DeploymentTimeline.as_view(), name="timeline"),
    path(_endpoint, calls.EndpointDetail.as_view(), name="endpoint"),
    path(f"{_endpoint}traffic/", calls.EndpointTraffic.as_view(), name="traffic"),
    path(f"{_endpoint}rollback/", calls.EndpointRollback.as_view(), name="rollback"),
]
