"""Files: FITS, products, DS9 regions, what is on disk, tables."""
