"""The only place that touches mteb's registries."""

# Whatever of ours is asked for first: mteb is loaded whole before our tasks, which derive from its classes, are.
import mteb  # noqa: F401
