"""From results to the public leaderboard: relabelled results, model cards, snippets, and what a reviewer would ask."""
