"""What runs and who gets the traffic: plans, rollouts, pages, the API."""
