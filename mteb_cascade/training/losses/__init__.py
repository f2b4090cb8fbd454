"""What a model is trained to do: one word in a spec, one loss for sentence-transformers' trainer."""

from mteb_cascade.training.losses.registry import Needs, build, check, form_of, needs, words

__all__ = ["Needs", "build", "check", "form_of", "needs", "words"]
