"""Pure functions on arrays and records: coordinates, masks, rates, mosaics, peaks, significance."""
