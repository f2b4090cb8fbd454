"""Experiments on trained models."""
