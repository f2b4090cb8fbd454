"""An index over HTTP: JSON for programs, a search page for people."""
