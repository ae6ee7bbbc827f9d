"""Journeys: a real browser and real programs against the real stack, one file per kind of user.

``stack`` is one ``manage.py up``, ``visitors`` the people at their browsers, ``steps`` what several of them do,
``calls`` what programs do, ``model_files`` what is uploaded, ``deadlines`` how long everything may take.
"""
