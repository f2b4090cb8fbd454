"""How work is run on the machine at hand."""
