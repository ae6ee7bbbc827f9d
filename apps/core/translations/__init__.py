"""How the catalogues in ``apps/core/locale`` are made, in plain Python: no gettext tools are needed.

``extraction`` finds every text of ours that a person may read, ``catalogues`` keeps the translations of them.
"""
