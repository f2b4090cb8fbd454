"""An index on disk: immutable segments, one manifest."""
