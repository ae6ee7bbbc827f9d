"""The promises that every driver keeps, tried on each of them."""
