"""Simulated observations of known truth: scenes, counts, event lists, files."""
