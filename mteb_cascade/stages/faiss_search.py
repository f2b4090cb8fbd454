"""faiss as the first step of a funnel; an extra."""

from __future__ import annotations

import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.stages.codings import SCAN_ROWS, Search
from mteb_cascade.stages.document_codes import Arrays, Documents
from mteb_cascade.stages.indexed import VECTORS
from mteb_cascade.store.precision import restored_at

INSTALL = "pip install 'mteb-cascade[faiss]'"
INSTALL_GPU = "pip install 'mteb-cascade[faiss-gpu]' in place of faiss-cpu"
FILE = "faiss.index"
TRAINED_ON = 200_000
"""Documents of which an index that has to be trained sees the vectors; chosen by chance, always the same."""

MADE = "faiss"


@dataclass(frozen=True)
class FaissSearch(Search):
    """Any index that faiss can make, by inner product.

    Args:
        factory: For faiss' `index_factory`.
        parameters: Set before searching, "nprobe=16,efSearch=64".
        gpu: Whether it searches on a GPU.
        label: What messages name.
    """

    factory: str
    parameters: str
    gpu: bool
    label: str

    def asked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [Q, d]."""
        return np.ascontiguousarray(self.cut(vectors))

    def scan(
        self, documents: Documents, asked: NDArray[np.float32], keep: int, threads: int
    ) -> list[NDArray[np.int32]]:
        """What faiss finds: fewer than `keep` where it looks at fewer; of equal documents at the cut it takes any."""
        index = documents.made(MADE, lambda: self.ready(self.built(documents.arrays, len(documents.corpus))))
        _, rows = index.search(asked, min(keep, len(documents.corpus)))
        return [found[found >= 0].astype(np.int32) for found in rows]

    def built(self, arrays: Arrays, size: int) -> Any:
        """An index of all documents.

        Args:
            arrays: That have their vectors.
            size: N, how many there are.

        Raises:
            InputError: faiss does not know such an index, or cannot make it of so few documents.
        """
        faiss = faiss_module()
        chosen = np.sort(np.random.default_rng(0).choice(size, min(size, TRAINED_ON), replace=False))
        try:
            width = self.cut(restored_at(arrays, VECTORS, chosen[:1])).shape[1]
            index = faiss.index_factory(width, self.factory, faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                index.train(np.ascontiguousarray(self.cut(restored_at(arrays, VECTORS, chosen))))
            # What HNSW finds depends on which were added together: never on the segments of an index.
            for start in range(0, size, SCAN_ROWS):
                rows = np.arange(start, min(start + SCAN_ROWS, size))
                index.add(np.ascontiguousarray(self.cut(restored_at(arrays, VECTORS, rows))))
        except (RuntimeError, AssertionError) as error:
            raise self._refused(error) from None
        return index

    def opened(self, folder: Path) -> Any:
        """The index that `write` left there, mapped into memory where faiss can.

        Raises:
            FileNotFoundError: There is none.
        """
        faiss = faiss_module()
        path = folder / FILE
        path.stat()
        try:
            return self.ready(faiss.read_index(str(path), faiss.IO_FLAG_MMAP))
        except RuntimeError as error:
            path.stat()
            raise self._refused(error) from None

    def write(self, arrays: Arrays, size: int, folder: Path) -> None:
        """Make an index of all documents, and write it into a folder.

        Raises:
            OSError: It cannot be written; faiss by itself says no more of that than that something failed.
        """
        faiss, index = faiss_module(), self.built(arrays, size)
        with (folder / FILE).open("wb") as file:
            faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))

    def ready(self, index: Any) -> Any:
        """The index where it searches, and with its parameters.

        Raises:
            InputError: There is no GPU, or a parameter is unknown.
        """
        faiss = faiss_module()
        try:
            if self.gpu:
                if not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
                    raise InputError(
                        f"{self.label}: gpu = true needs a GPU and faiss for it: {INSTALL_GPU}; or leave gpu out"
                    )
                index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)
            if self.parameters:
                space = faiss.GpuParameterSpace() if self.gpu else faiss.ParameterSpace()
                space.set_index_parameters(index, self.parameters)
        except RuntimeError as error:
            raise self._refused(error) from None
        return index

    def _refused(self, error: BaseException) -> InputError:
        said = f"{self.factory}, {self.parameters}" if self.parameters else self.factory
        return InputError(f"{self.label}: faiss refuses '{said}': {in_one_line(error)}")


def faiss_module() -> types.ModuleType:
    """The package.

    Raises:
        InputError: It is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise InputError(f"a step with faiss needs an extra: {INSTALL} ({in_one_line(error)})") from None
    module: types.ModuleType = faiss
    return module
