"""OpenVINO under a sentence-transformers model, on a CPU: its transformer is converted once, kept, and swapped in.

Tokenizer, pooling and every other module stay torch's. In int8, weights and activations are quantised by NNCF, with
scales that are fixed by a few texts of ours: a text's numbers depend on no other text of its batch. Score heads are
left out of it.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import logging
import re
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.installed import version
from mteb_cascade.store.folder import cache_folder

Precision = Literal["float32", "int8"]

PACKAGES = ("openvino", "nncf")
"""What the extra `openvino` installs."""

CONVERTERS = (*PACKAGES, "torch", "transformers", "sentence-transformers")
"""Packages on whose versions a converted model depends."""

MODEL, WEIGHTS, CHECKSUMS = "model.xml", "model.bin", "checksums.json"

TOLERANCE = 1e-3
"""How far a converted model's numbers may be from torch's, as a share of the largest one."""

ROWS, TOKENS = 4, 8
"""Batches are filled up to multiples of these: OpenVINO makes its kernels anew for every shape and keeps what they
take, so that with a shape a batch memory would grow with the texts."""

Features = dict[str, Any]
"""What a transformer gets: tensors by name."""


def is_installed() -> bool:
    """Whether the extra is; nothing of it is imported."""
    return all(find_spec(name) for name in PACKAGES)


def expect_installed(what: str) -> None:
    """Refuse to go on without the extra.

    Raises:
        InputError: It is missing.
    """
    if not is_installed():
        raise InputError(f"{what}: OpenVINO is not installed: pip install 'mteb-cascade[openvino]'")


def versions() -> dict[str, str]:
    """The versions of the extra's packages."""
    return {name: version(name) for name in PACKAGES if find_spec(name)}


def swap(
    network: Any, samples: Sequence[Features], *, model: str, precision: Precision, heads: Sequence[str], what: str
) -> None:
    """Let OpenVINO compute what a model's transformer does; all else of the model stays as it is.

    Args:
        network: A sentence-transformers model on the CPU, in float32.
        samples: What its tokenizer gives for the texts to calibrate on; none is empty.
        model: Digest of its files.
        precision: What is computed in.
        heads: Linear layers of the network that stay in float32, by their names in it.
        what: What messages name.

    Raises:
        InputError: OpenVINO cannot convert it, or not run it.
    """
    body, output = transformer_of(network, what)
    known = inspect.signature(body.forward).parameters
    inputs = [{name: one for name, one in sample.items() if name in known} for sample in samples]
    folder = cache_folder() / "openvino" / key_of(model, precision, heads, inputs)
    try:
        with quiet():
            if not is_whole(folder):
                converted(body, output, precision, heads, inputs, folder)
            body.forward = Compiled(folder / MODEL, output, network.max_seq_length or 0)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{what}: OpenVINO cannot compute it: {in_one_line(error)}") from error


def transformer_of(network: Any, what: str) -> tuple[Any, str]:
    """The transformer that a model begins with, and what it calls the output that is read.

    Raises:
        InputError: It begins with something else, or its transformer is called in ways of its own.
    """
    from sentence_transformers.base.modules import Transformer

    first: Any = network[0]
    told = first.modality_config.get("text", {}) if isinstance(first, Transformer) else {}
    output = told.get("method_output_name")
    if told.get("method") != "forward" or not isinstance(output, str):
        raise InputError(
            f"{what}: OpenVINO computes models that begin with a transformer, not {type(first).__name__}; "
            'set backend = "torch" and a float dtype'
        )
    return first.model, output


class Compiled:
    """A converted transformer, called as the one that it stands for.

    Args:
        file: The OpenVINO model.
        output: What the transformer itself calls its output.
        longest: Tokens up to which batches may be filled up: where the model's positions end.
    """

    def __init__(self, file: Path, output: str, longest: int = 0) -> None:
        import openvino
        import torch

        # In a float format of its own choice it would compute in bfloat16 where the processor has it.
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
        }
        compiled = openvino.Core().compile_model(file, "CPU", options)
        self.names = [port.any_name for port in compiled.inputs]
        self.file, self.output, self.longest = file, output, longest
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Compiled], tuple[Path, str, int]]:
        """For another process, which compiles for itself."""
        return Compiled, (self.file, self.output, self.longest)

    def __call__(self, **features: Any) -> dict[str, Any]:
        """{output: float32 tensor} of int64 tensors [rows, tokens]; options of torch's are not looked at."""
        import torch

        rows, tokens = features[self.names[0]].shape
        more_rows = -rows % ROWS if rows > ROWS else 0
        filled = max(tokens, min(tokens + -tokens % TOKENS, self.longest))
        given = {}
        for name in self.names:
            # Rows that nobody reads repeat the last one; tokens that nobody reads are masked.
            wide = np.pad(features[name].numpy(), ((0, more_rows), (0, 0)), mode="edge")
            given[name] = np.pad(wide, ((0, 0), (0, filled - tokens)))
        with self._lock:
            found = self._request.infer(given, share_inputs=True, share_outputs=True)[0][:rows]
            # A copy: the next call writes to the same memory.
            found = (found[:, :tokens] if found.ndim == 3 else found).copy()
        return {self.output: torch.from_numpy(found)}


def key_of(model: str, precision: str, heads: Sequence[str], inputs: Sequence[Features]) -> str:
    """SHA-256 of all that a converted model depends on."""
    made_of = [model, precision, list(heads), {name: version(name) for name in CONVERTERS}]
    state = hashlib.sha256(json.dumps(made_of).encode())
    for sample in inputs:
        for name, values in sample.items():
            state.update(f"{name} {list(values.shape)}".encode())
            state.update(np.ascontiguousarray(values.numpy()).tobytes())
    return state.hexdigest()


def is_whole(folder: Path) -> bool:
    """Whether a kept model is there, and each of its bytes as it was written."""
    try:
        said = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        return bool(said == checksums(folder))
    except (OSError, ValueError):
        return False


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a converted model."""
    found = {}
    for name in (MODEL, WEIGHTS):
        with (folder / name).open("rb") as file:
            found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def converted(
    body: Any, output: str, precision: Precision, heads: Sequence[str], inputs: Sequence[Features], folder: Path
) -> None:
    """Convert a transformer and keep it in a folder, whole or not at all."""
    import openvino

    model = traced(body, output, inputs)
    if precision == "int8":
        model = quantised(model, heads, inputs)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as beside:
        made = Path(beside) / "made"
        made.mkdir()
        openvino.save_model(model, made / MODEL, compress_to_fp16=False)
        (made / CHECKSUMS).write_text(json.dumps(checksums(made)) + "\n", encoding="utf-8")
        if folder.exists():  # Another process was faster, or it is damaged.
            if is_whole(folder):
                return
            shutil.rmtree(folder)
        made.rename(folder)


def traced(body: Any, output: str, inputs: Sequence[Features]) -> Any:
    """The OpenVINO model of a transformer's one output, compared with it on a padded batch of another size.

    Raises:
        RuntimeError: They differ: the trace took for fixed what depends on the batch.
    """
    import openvino
    import torch

    class Bare(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.body(**dict(zip(names, tensors, strict=True)), return_dict=True)[output]
            return found

    names = list(inputs[0])
    bare = Bare().eval()
    with torch.inference_mode():
        model = openvino.convert_model(bare, example_input=tuple(padded(inputs[:2]).values()))
        for port, name in zip(model.inputs, names, strict=True):
            port.get_tensor().set_names({name})
        batch = padded(inputs[-3:])
        expected = bare(*batch.values())
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder) / MODEL, compress_to_fp16=False)
        found = Compiled(Path(folder) / MODEL, output)(**batch)[output]
    # Of a pad nobody reads what was computed.
    real = batch["attention_mask"].bool() if expected.shape[:2] == batch["attention_mask"].shape else slice(None)
    difference = float((found - expected)[real].abs().max())
    if not difference <= TOLERANCE * max(1.0, float(expected[real].abs().max())):
        raise RuntimeError(f"converted, its numbers move by {difference:.2g}")
    return model


def padded(samples: Sequence[Features]) -> Features:
    """One batch of single texts, padded on the right with zeros."""
    import torch

    longest = max(sample["attention_mask"].shape[1] for sample in samples)
    rows = [
        {name: torch.nn.functional.pad(values, (0, longest - values.shape[1])) for name, values in sample.items()}
        for sample in samples
    ]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


def quantised(model: Any, heads: Sequence[str], inputs: Sequence[Features]) -> Any:
    """The model in int8 but for its heads."""
    loggers = logging.getLoggerClass()
    import nncf

    logging.setLoggerClass(loggers)  # NNCF sets its own for everybody.
    nncf.set_log_level(logging.ERROR)
    samples = [{name: values.numpy() for name, values in sample.items()} for sample in inputs]
    # "0.model.classifier" of the network is "__module.body.classifier/..." of the trace.
    patterns = [rf"__module\.body\.{re.escape(name.removeprefix('0.model.'))}/.*" for name in heads]
    return nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(patterns=patterns, validate=False),
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No bars, no tracer's warnings, and no telemetry: OpenVINO and NNCF send it unless its package is missing."""
    told = logging.getLogger("transformers.modeling_utils")
    level = told.level
    missing = "openvino_telemetry" not in sys.modules
    if missing:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told.setLevel(logging.ERROR)
            yield
    finally:
        told.setLevel(level)
        if missing:
            del sys.modules["openvino_telemetry"]
