"""One query on its way through a cascade: who stood where, what became of the answer, and which tokens matched."""
