"""Network modules of our own: loaded by name from this allow-list, never by code that comes with a model."""
