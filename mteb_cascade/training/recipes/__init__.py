"""Small models of our own, trained in seconds."""
