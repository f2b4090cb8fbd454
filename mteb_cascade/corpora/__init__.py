"""Corpora, queries and judgements, from where people keep them."""
