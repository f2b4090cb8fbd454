"""Hard negatives, and a teacher's scores."""
