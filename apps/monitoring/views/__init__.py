"""The pages of monitoring: the overview, the charts, alerts with their rules, and channels."""
