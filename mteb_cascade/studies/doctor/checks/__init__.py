"""One concept a file; each `check` takes a subject and yields findings."""
