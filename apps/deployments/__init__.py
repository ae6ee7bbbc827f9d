"""What runs where, and who gets which share of the traffic: desired state in, observed state out, reconciled."""
