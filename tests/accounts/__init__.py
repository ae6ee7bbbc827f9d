"""Accounts: the way in, members, keys, profiles, and the same through the API."""
