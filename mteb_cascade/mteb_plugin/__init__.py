"""The only place that touches mteb's registries."""
