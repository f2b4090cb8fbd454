"""Lets `mteb run -m our-model` find the specs on this disk.

mteb has no plug-in hook. This runs at interpreter start from a `.pth` file (and from the `.start` entry of PEP 829), so
it imports nothing: it puts one finder in front of `sys.meta_path`. When something imports one of mteb's two registries,
the finder lets the real one load and then has mteb_cascade add its names. `MTEB_CASCADE_AUTOLOAD=0` turns it off.
"""

import os
import sys

REGISTRIES = ("mteb.models.model_implementations", "mteb.get_tasks")


class RegistryFinder:
    """Finds mteb's registries with the finders behind it, and wraps their loader."""

    def find_spec(self, name, path=None, target=None):
        """The spec of one of mteb's registries; None, at the cost of one comparison, for all else."""
        if name not in REGISTRIES:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = RegistryLoader(spec.loader)
                return spec
        return None


class RegistryLoader:
    """A registry's own loader, with our names added once it has run."""

    def __init__(self, loader):
        self.loader = loader

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        """As the real loader."""
        return self.loader.create_module(spec)

    def exec_module(self, module):
        """Run the module as it is, then add to its registry; a failure of ours never breaks mteb."""
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        try:
            from mteb_cascade.mteb_plugin.registry import add_to

            add_to(module)
        except Exception as error:
            import warnings

            warnings.warn(
                f"mteb-cascade could not add its models and tasks to mteb: {type(error).__name__}: {error}. "
                "MTEB_CASCADE_AUTOLOAD=0 turns this off.",
                stacklevel=2,
            )


def install():
    """Put the finder in place, once."""
    if os.environ.get("MTEB_CASCADE_AUTOLOAD", "1") == "0":
        return
    if not any(isinstance(finder, RegistryFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, RegistryFinder())
