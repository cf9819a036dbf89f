"""Selections of events: expressions evaluated on columns, and the files that they name."""
