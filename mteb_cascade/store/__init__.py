"""What is computed once: pair scores, retrieved runs and vectors, as files that any number of processes may share."""
