"""Inner products of sparse vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def inner_products(queries: csr_matrix, documents: csr_matrix) -> NDArray[np.float32]:
    """Every query with every document.

    A product is summed in float64 in the order of the document's own entries, so that it depends on the two vectors
    alone and not on what else is in the block.

    Args:
        queries: [Q, V].
        documents: [n, V], entries of a row in ascending order.

    Returns:
        float32 [Q, n], 0 where no dimension is shared.
    """
    products = documents.astype(np.float64) @ queries.astype(np.float64).T
    return np.ascontiguousarray(products.toarray().T, np.float32)
