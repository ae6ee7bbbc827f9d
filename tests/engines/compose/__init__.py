"""docker-compose.yml on a real engine, as the README says: built, started, used, scaled, killed, backed up, restored.

``stack`` is the bed: a Docker host of its own on which the product's image and stand-ins for the others are built once
in a session. ``images`` holds those stand-ins.
"""
