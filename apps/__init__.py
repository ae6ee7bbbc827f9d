"""The domain and its pages.

Layers, from the ground up: ``core`` (no tables), ``audit``, ``accounts``, ``library`` and ``targets``, ``releases``,
``deployments``, ``monitoring``; ``gateway`` is the data plane. Each knows only those before it. Inside an app:
``urls → views | api → forms → services → selectors → models → plain rules``.
"""
