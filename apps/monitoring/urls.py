from django.urls import URLPattern, path

from apps.monitoring import api as calls
from apps.monitoring.views import alerts, channels, charts, moments, overview

pages: list[URLPattern] = [  # under /p/<project>/
    path("", overview.overview, name="overview"),
    path("badges/", overview.badges, name="badges"),
    path("endpoint-figures/", overview.endpoint_figures, name="endpoint_figures"),
    path("monitoring/", charts.monitoring, name="monitoring"),
    path("monitoring/<slug:endpoint>/charts/", charts.endpoint_charts, name="endpoint_charts"),
    path("monitoring/<slug:endpoint>/moment/", moments.moment, name="moment"),
    path("alerts/", alerts.alerts, name="alerts"),
    path("alerts/<int:pk>/acknowledge/", alerts.acknowledge, name="acknowledge"),
    path("alerts/rules/", alerts.rules, name="rules"),
    path("alerts/rules/new/", alerts.rule_new, name="rule_new"),
    path("alerts/rules/preview/", alerts.rule_preview, name="rule_preview"),
    path("alerts/rules/<int:pk>/", alerts.rule_edit, name="rule"),
    path("alerts/rules/<int:pk>/delete/", alerts.rule_delete, name="rule_delete"),
    path("alerts/channels/", channels.channels, name="channels"),
    path("alerts/channels/new/", channels.channel_new, name="channel_new"),
    path("alerts/channels/<int:pk>/", channels.channel, name="channel"),
    path("alerts/channels/<int:pk>/test/", channels.channel_test, name="channel_test"),
    path("alerts/channels/<int:pk>/toggle/", channels.channel_toggle, name="channel_toggle"),
    path("alerts/channels/<int:pk>/renew/", channels.channel_renew, name="channel_renew"),
    path("alerts/channels/<int:pk>/delete/", channels.channel_delete, name="channel_delete"),
]
_project = "projects/<slug:project>/"
api: list[URLPattern] = [  # under /api/v1/
    path(f"{_project}metrics/", calls.Metrics.as_view(), name="metrics"),
    path(f"{_project}alert-rules/", calls.RuleList.as_view(), name="rules"),
    path(f"{_project}alert-rules/<int:pk>/", calls.RuleDetail.as_view(), name="rule"),
    path(f"{_project}alerts/", calls.AlertList.as_view(), name="alerts"),
    path(f"{_project}alerts/<int:pk>/acknowledge/", calls.AlertAcknowledge.as_view(), name="acknowledge"),
    path(f"{_project}channels/", calls.ChannelList.as_view(), name="channels"),
]
