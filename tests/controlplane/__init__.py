"""How everything starts: the preparation of the environment, ``up`` as a real process, settings for production."""
