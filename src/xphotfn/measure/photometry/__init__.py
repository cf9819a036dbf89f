"""Photometry of many positions on many maps, and what is made of its table."""
