"""The ground everybody stands on: errors, states, leases, jobs, actors, pages, the API's frame and sealing.

No tables of its own and no word of the domain.
"""
