"""Versions of installed packages, each read once: a look takes a millisecond, and a sweep asks for dozens."""

from functools import cache
from importlib import metadata


@cache
def version(package: str) -> str:
    """The version of an installed package.

    Raises:
        importlib.metadata.PackageNotFoundError: It is not installed.
    """
    return metadata.version(package)
