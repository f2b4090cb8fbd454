"""A result run again: the model, its data, then every figure."""
