"""Values: runs, judgements, curves and statistics; numpy only."""
