"""Commands of the ground: the catalogues of translations."""
