"""Pages of accounts: the way in, projects, members, keys and the profile."""
