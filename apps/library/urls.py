from django.urls import URLPattern

pages: list[URLPattern] = []  # under /p/<project>/
api: list[URLPattern] = []  # under /api/v1/
