"""``manage.py up``: everything on this machine, in the foreground, under one supervisor.

``command`` is the story from the lock on the data folder to Ctrl-C; ``parts`` says what runs, ``preparation`` brings
the database and the static files up to date first, ``supervision`` keeps the parts running, ``processes`` finds and
stops what an earlier start left behind, ``replicas`` ends the models that run on this machine, ``logs`` shows what a
person needs to see.
"""
