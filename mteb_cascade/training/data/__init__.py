"""Training data, from collections and from files."""
