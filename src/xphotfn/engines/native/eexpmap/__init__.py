"""eexpmap in numpy: exposure maps."""
