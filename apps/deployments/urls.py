from django.urls import URLPattern, path

from apps.deployments import api as calls
from apps.deployments.views import deployments, elsewhere, endpoints, nodes, trying

pages: list[URLPattern] = [  # under /p/<project>/
    path("endpoints/", endpoints.endpoints, name="endpoints"),
    path("endpoints/<slug:endpoint>/", endpoints.endpoint, name="endpoint"),
    path("endpoints/<slug:endpoint>/live/", endpoints.endpoint_live, name="endpoint_live"),
    path("endpoints/<slug:endpoint>/log-lines/", endpoints.endpoint_logs, name="endpoint_logs"),
    path("endpoints/<slug:endpoint>/send/", trying.try_it, name="try_it"),
    path("endpoints/<slug:endpoint>/roll-back/", endpoints.roll_back, name="roll_back"),
    path("endpoints/<slug:endpoint>/traffic/", endpoints.set_traffic, name="set_traffic"),
    path("endpoints/<slug:endpoint>/tab/<slug:tab>/", endpoints.endpoint, name="endpoint_tab"),
    path("deployments/<int:pk>/", deployments.deployment, name="deployment"),
    *[
        path(f"deployments/<int:pk>/{verb}/", deployments.act, {"verb": verb}, name=verb)
        for verb in ("stop", "start", "scale")
    ],
    path("releases/<int:pk>/start/", deployments.start_release, name="start_release"),
    path("releases/<int:pk>/change/", elsewhere.release_change, name="release_change"),
    path("releases/<int:pk>/progress/", elsewhere.release_progress, name="release_progress"),
    path("targets/<slug:target>/nodes/<str:node>/", nodes.node, name="node"),
    path("running-models/", elsewhere.running_now, name="running_now"),
    path("models/<slug:model>/running/", elsewhere.running_for_model, name="running_for_model"),
    path("models/<slug:model>/<int:number>/run-golden/", trying.run_golden, name="run_golden"),
    path("models/<slug:model>/<int:number>/lineage/", elsewhere.lineage, name="lineage"),
    path("models/<slug:model>/<int:number>/running/", elsewhere.running_for_version, name="running_for_version"),
]
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
    path("projects/<slug:project>/endpoints/", calls.EndpointList.as_view(), name="endpoints"),
    path(_endpoint, calls.EndpointDetail.as_view(), name="endpoint"),
    path(f"{_endpoint}traffic/", calls.EndpointTraffic.as_view(), name="traffic"),
    path(f"{_endpoint}rollback/", calls.EndpointRollback.as_view(), name="rollback"),
]
