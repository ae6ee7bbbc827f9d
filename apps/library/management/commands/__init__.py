"""``manage.py prune``."""
