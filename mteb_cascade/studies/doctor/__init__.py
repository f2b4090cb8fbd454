"""Is the reranker bad, or the pipeline broken? Checks with verdict, evidence and remedy."""
