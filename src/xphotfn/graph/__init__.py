"""Plans: what will run, in what order, and the one graph that runs it."""
