"""The pages of endpoints and deployments; ``elsewhere`` holds the fragments that other apps' pages ask for."""
