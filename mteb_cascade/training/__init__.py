"""Training, from spec to model folder."""
