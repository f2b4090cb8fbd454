"""Stages: one file a kind."""
