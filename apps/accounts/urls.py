from django.urls import URLPattern

site: list[URLPattern] = []  # of no project: first run, profile, invitations
pages: list[URLPattern] = []  # under /p/<project>/
api: list[URLPattern] = []  # under /api/v1/
