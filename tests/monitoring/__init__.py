"""Monitoring: rules and charts as pure functions, collecting and rolling up, alerting, its pages and its API."""
