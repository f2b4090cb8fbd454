"""What is said of a model that is not there, not of the kind that was written, or not whole."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mteb_cascade.errors import InputError
from mteb_cascade.stages.load import load
from mteb_cascade.stages.weights import fetched_folder, fetched_snapshot

Write = Callable[[str, str], Path]
KINDS = ("bi-encoder", "cross-encoder", "late-interaction", "sparse")
NOUNS = {"late-interaction": "late-interaction model", "sparse": "sparse model"}


@pytest.fixture
def folders(
    tiny_bi_encoder: Path, tiny_cross_encoder: Path, tiny_late_interaction: Path, tiny_sparse: Path
) -> dict[str, Path]:
    return dict(zip(KINDS, (tiny_bi_encoder, tiny_cross_encoder, tiny_late_interaction, tiny_sparse), strict=True))


@pytest.mark.parametrize("held", KINDS)
@pytest.mark.parametrize("written", KINDS)
def test_every_kind_is_told_from_every_other(
    written: str, held: str, folders: dict[str, Path], write_spec: Write
) -> None:
    write_spec("mine", f'kind = "{written}"\nmodel = "{folders[held]}"\n')
    if written == held:
        load("mine").prepare()
        return
    with pytest.raises(InputError) as raised:
        load("mine").prepare()
    assert str(raised.value) == (
        f"models/mine.toml: {folders[held]} holds a {NOUNS.get(held, held)}, not a {NOUNS.get(written, written)}. "
        f'Write kind = "{held}"'
    )


def test_a_checkpoint_without_a_head_is_no_cross_encoder(write_spec: Write, tiny_bert: Path) -> None:
    write_spec("mine", f'kind = "cross-encoder"\nmodel = "{tiny_bert}"\n')
    with pytest.raises(InputError, match=r"holds a plain checkpoint \(BertModel\) without a head that scores pairs"):
        load("mine").prepare()


class Hub(BaseHTTPRequestHandler):
    """A hub that refuses everything, for a reason of its choice."""

    status, code = 404, ""

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("X-Error-Code", self.code)
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    """The hub's own client, which is sent to `Hub`."""
    from huggingface_hub import constants

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, "RepoNotFound", "the hub has no such model, or it is private: check the name, or log in with `hf auth"),
        (403, "GatedRepo", "its owner has to grant access: ask for it on the model's page"),
        (404, "RevisionNotFound", "the hub has it, but no revision 'v2' of it"),
        (400, "", r"the hub did not give it \(.*BadRequest"),
    ],
)
def test_a_hub_model_that_is_not_given(status: int, code: str, reason: str, hub: type[Hub]) -> None:
    hub.status, hub.code = status, code
    with pytest.raises(InputError, match=f"^mine: 'org/gone' is no model known here, and cannot be fetched: {reason}"):
        fetched_folder("org/gone", "v2", None, "mine")


def test_a_hub_out_of_reach(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"^mine: 'org/gone' .* cannot be fetched: the hub did not give it \(.*\)$"):
        fetched_snapshot("org/gone", None, "mine")


@pytest.mark.parametrize("kind", KINDS)
def test_a_hub_model_without_network(kind: str, write_spec: Write) -> None:
    write_spec("mine", f'kind = "{kind}"\nmodel = "org/gone"\n')
    with pytest.raises(
        InputError,
        match=r"^models/mine.toml: 'org/gone' is no model known here and not in the hub's cache; HF_HUB_OFFLINE is "
        "set, so it cannot be fetched. Fetch it once on a machine with network, or give a folder as an absolute path$",
    ):
        load("mine").prepare()


def test_a_pickled_part_is_refused(tiny_bi_encoder: Path, tmp_path: Path) -> None:
    """sentence-transformers would unpickle the weights of a module that has no .safetensors file."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import LayerNorm

    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    network.append(LayerNorm(16))
    network.save(str(tmp_path / "mine"))
    load(tmp_path / "mine").prepare()
    weights = tmp_path / "mine" / "2_LayerNorm" / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(InputError, match=r"2_LayerNorm has no .safetensors file; pickled weights are not loaded"):
        load(tmp_path / "mine").prepare()


def test_a_folder_that_does_not_load_is_one_line(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_cross_encoder, tmp_path / "mine")
    config = tmp_path / "mine" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "model_type": "nonesuch"}))
    with pytest.raises(InputError, match=r"mine cannot be loaded: [^\n]*nonesuch[^\n]*$"):
        load(tmp_path / "mine").prepare()
