"""What may run where: targets and their checks, environments and their policy, endpoints."""
