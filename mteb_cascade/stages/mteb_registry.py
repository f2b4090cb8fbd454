"""A model of mteb's registry: looked up, trusted or refused, loaded; every way to fail is one line."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.stages.weights import offline

if TYPE_CHECKING:
    from mteb.models import ModelMeta

REMOTE_CODE = re.compile(r"""trust_remote_code["']?\s*(:\s*bool\s*)?[=:]\s*True""")
"""How a loader of mteb says that it runs the Python code of a model's repository."""


def registered(name: str, revision: str | None = None) -> ModelMeta:
    """What mteb's registry says of a model; nothing is loaded.

    Raises:
        InputError: mteb has no such model or no such revision, or the model is a spec of ours.
    """
    # Not mteb.get_model_meta, which does not exist yet while mteb, being imported, has our specs described.
    from mteb.models.model_implementations import MODEL_REGISTRY

    meta = MODEL_REGISTRY.get(name)
    loader = getattr(meta and meta.loader, "func", meta and meta.loader)
    if str(getattr(loader, "__module__", "")).startswith("mteb_cascade.") or (meta is None and specs.find(name)):
        raise InputError(f"'{name}' is a model of this folder, which mteb would ask us for: name it directly")
    if meta is None:
        close = difflib.get_close_matches(name, MODEL_REGISTRY)
        meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise InputError(
            f"mteb's registry has no model '{name}'.{meant} A folder, or a hub model that mteb does not list, is named "
            'directly, without kind = "mteb"'
        )
    if revision and revision != meta.revision:
        raise InputError(f"revision: mteb's registry has '{name}' at {meta.revision}, got {revision}; leave it out")
    return meta


def loaded(name: str, revision: str | None, device: str | None, *, trusted: bool) -> Any:
    """The model, by its own loader.

    Args:
        name: Its key in mteb's registry.
        revision: The registry's, or None.
        device: Torch device of models that have one.
        trusted: Whether Python code that comes with the model may run.

    Raises:
        InputError: It cannot be loaded; says why in one line.
    """
    meta = registered(name, revision)
    if "text" not in meta.modalities:
        raise InputError(f"'{name}' is a model of {' and '.join(meta.modalities)}, not of text")
    if meta.loader is None:
        raise InputError(f"'{name}' is in mteb's registry as a name only: it has no implementation to run")
    if not trusted and runs_remote_code(meta):
        raise InputError(
            f"'{name}' runs Python code that comes with the model; where you trust it, load it in Python with "
            f'Mteb(model="{name}", trust_remote_code=True)'
        )
    import mteb

    try:
        return mteb.get_model(name, revision=revision, device=device)
    except InputError:
        raise
    except Exception as error:  # whatever a loader of somebody else's raises: no module, no key, no network
        raise InputError(f"'{name}' could not be loaded by mteb: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Why a model could not be loaded, in one line."""
    text = in_one_line(error) or "no reason given"
    unreachable = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in ("huggingface_hub", "httpx")
    if unreachable and offline():
        return (
            "it is not in the hub's cache and HF_HUB_OFFLINE is set, so it cannot be fetched. Fetch it once on a "
            f"machine with network ({text})"
        )
    if isinstance(error, ImportError):
        return text
    if re.search(r"api[ _-]?key|credential|unauthori[sz]ed|token is required", text, re.IGNORECASE):
        return f"{text} (a model behind an API needs its provider's key in the environment)"
    return f"{type(error).__name__}: {text}"


def runs_remote_code(meta: ModelMeta) -> bool:
    """Whether loading runs code from the model's repository: by its arguments, or by the source of its loader."""
    if re.search(r"'trust_remote_code': True", repr(meta.loader_kwargs)):
        return True
    return any(REMOTE_CODE.search(source) for source in sources(getattr(meta.loader, "func", meta.loader)))


def sources(loader: Any) -> Iterator[str]:
    """Source of a loader, of the classes that it inherits from, and of what they name in their own modules."""
    package = loader.__module__.partition(".")[0]
    waiting, seen = [loader], set()
    while waiting:
        part = waiting.pop()
        if part in seen or part.__module__.partition(".")[0] != package:
            continue
        seen.add(part)
        try:
            source = inspect.getsource(part)
        except (OSError, TypeError):
            continue
        yield source
        waiting += part.__bases__ if isinstance(part, type) else ()
        named = [vars(sys.modules[part.__module__]).get(name) for name in set(re.findall(r"[A-Za-z_]\w*", source))]
        waiting += [other for other in named if inspect.isfunction(other) or isinstance(other, type)]
