"""The tests: they mirror the house; journeys are told by real browsers against the real stack."""
