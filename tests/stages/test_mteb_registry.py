"""Which of mteb's models are refused, each in one line, and specs of kind `mteb` under mteb itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from registered_models import BM25S, task_of

from mteb_cascade.errors import InputError
from mteb_cascade.stages import load as loading
from mteb_cascade.stages.mteb import Mteb

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("mteb_registry")]


def fails(name: str, text: str) -> Callable[..., Any]:
    def loader(*_: Any, **__: Any) -> Any:
        raise {"import": ImportError, "key": RuntimeError, "hub": OSError}[name](text)

    return loader


def code(name: str, *, trust_remote_code: bool = True, **_: Any) -> Any:
    raise AssertionError("must not be called")


def hidden_code(name: str, **_: Any) -> Any:
    return code(name, trust_remote_code=True)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an extra is missing": ({"loader": fails("import", "needs x.\nInstall y")}, "by mteb: needs x. Install y"),
    "no key": ({"loader": fails("key", "The api_key must be set")}, "its provider's key in the environment"),
    "no hub": ({"loader": fails("hub", "no route")}, "HF_HUB_OFFLINE is set, so it cannot be fetched"),
    "no implementation": ({"loader": None}, "as a name only: it has no implementation to run"),
    "not of text": ({"modalities": ["image"]}, "is a model of image, not of text"),
    "code by its arguments": ({"loader_kwargs": {"trust_remote_code": True}}, "runs Python code that comes with"),
    "code by default": ({"loader": code}, 'Mteb(model="tiny/broken", trust_remote_code=True)'),
    "code inside": ({"loader": hidden_code}, "runs Python code that comes with the model"),
    "no model": ({"loader": lambda name, **_: Nothing()}, "neither encodes, nor scores pairs, nor searches"),
}


class Nothing:
    mteb_model_meta: Any = None


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_loaded_is_one_line(case: str, mteb_registry: dict[str, Any], monkeypatch: Any) -> None:
    changes, expected = REFUSED[case]
    monkeypatch.setitem(
        mteb_registry,
        "tiny/broken",
        mteb_registry["tiny/encoder"].model_copy(update={"name": "tiny/broken", **changes}),
    )
    stage = Mteb(model="tiny/broken")
    with pytest.raises(InputError) as refused:
        stage.prepare()
        _ = stage.role
    assert expected in str(refused.value)
    assert "'tiny/broken'" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"model": "tiny/encodr"}, "no model 'tiny/encodr'. Did you mean 'tiny/encoder' or "),
        ({"model": "tiny/encoder", "revision": "r9"}, "revision: mteb's registry has 'tiny/encoder' at r1, got r9"),
        ({"model": "our-lexical"}, "'our-lexical' is a model of this folder, which mteb would ask us for"),
    ],
)
def test_a_wrong_name_is_one_line(given: dict[str, str], expected: str, write_spec: Callable[[str, str], Path]) -> None:
    write_spec("our-lexical", 'kind = "bm25"\n')
    with pytest.raises(InputError) as refused:
        Mteb(**given).prepare()
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_spec_is_found_by_mteb_and_describing_it_loads_nothing(
    write_spec: Callable[[str, str], Path], mteb_registry: dict[str, Any], monkeypatch: Any
) -> None:
    import mteb

    from mteb_cascade.mteb_plugin.registry import register

    write_spec("our-theirs", f'kind = "mteb"\nmodel = "{BM25S}"\nbatch_size = 8\n')
    write_spec("our-circle", 'kind = "mteb"\nmodel = "our-circle"\n')
    write_spec("our-lost", 'kind = "mteb"\nmodel = "no/such"\n')
    write_spec("our-nothing", 'kind = "mteb"\n')
    kept = dict(mteb_registry)
    try:
        register()
        meta = mteb.get_model_meta("our-theirs")
        assert meta.revision == loading.load("our-theirs").fingerprint
        assert meta.model_type == ["sparse"]
        assert str(meta.release_date) == str(mteb.get_model_meta(BM25S).release_date)
        assert meta.release_date is not None
        task = task_of()
        theirs, ours = (
            mteb.evaluate(mteb.get_model(name), task, cache=None, show_progress_bar=False).task_results[0]
            for name in (BM25S, "our-theirs")
        )
        assert ours.get_score() == pytest.approx(theirs.get_score(), abs=1e-5)
        for name, part in (
            ("our-circle", "'our-circle' is a model of this folder"),
            ("our-lost", "mteb's registry has no model 'no/such'"),
            ("our-nothing", "model: missing; kind 'mteb' needs it"),
        ):
            with pytest.raises(InputError, match=part):
                mteb.get_model(name)
    finally:
        mteb_registry.clear()
        mteb_registry.update(kept)


def test_while_mteb_is_being_imported_a_spec_is_described_in_full(write_spec: Callable[[str, str], Path]) -> None:
    folder = write_spec("our-theirs", f'kind = "mteb"\nmodel = "{BM25S}"\n').parent.parent
    script = "import mteb; print(mteb.get_model_meta('our-theirs').revision)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, check=True)
    assert done.stdout.strip() == loading.load("our-theirs").fingerprint
