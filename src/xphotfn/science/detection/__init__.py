"""Detection of sources in counts images: background, search, fits, extents and objects, on arrays alone."""
