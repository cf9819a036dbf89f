"""evselect in numpy: images, filtered lists and rate sets."""
