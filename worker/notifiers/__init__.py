"""Tells people and programs what happened, over the channels they chose.

base        the promises every notifier keeps, and what the operator allows
registry    which notifier a kind of channel has
webhook     a signed POST, as Standard Webhooks describes it
mail        a message over the operator's mail server
outbound    the one client for addresses that users typed in
fake        collects notices in a list and can be told to fail

A new channel is one module here, one line in the registry, its kind in apps/monitoring, its tests, and this line.
"""
