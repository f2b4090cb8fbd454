"""Several models on several tasks, local ones among published ones."""
