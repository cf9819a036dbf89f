"""One rate from several observations of one position."""
