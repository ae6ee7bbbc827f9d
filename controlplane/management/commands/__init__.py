"""``manage.py prune`` and ``manage.py selfcheck``."""
