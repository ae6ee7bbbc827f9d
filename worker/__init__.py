"""Everything that touches the outside world.

``tasks`` are the Celery entry points; ``inspection``, ``sandbox``, ``builders``, ``drivers`` and ``notifiers`` are
tools that know no Django, no Celery and no domain; ``runtime`` is cargo: the inference server packed into what we
build. Tools take and return the frozen values of ``specs`` and raise only ``errors.ToolError``.
"""
