"""A corpus embedded once, searched by the cascade that was evaluated."""
