"""People, projects, roles and API keys: sign-in, members, keys. ``roles.py`` is the one table of who may do what."""
