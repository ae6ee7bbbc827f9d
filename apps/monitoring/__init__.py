"""Windows of traffic and resources, rules over them, alerts to people, and the dashboards."""
