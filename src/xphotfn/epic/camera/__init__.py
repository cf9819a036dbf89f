"""An EPIC camera: its CCDs, where it looks, and how much of the light it records."""
