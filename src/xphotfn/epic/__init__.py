"""The EPIC cameras and their event lists: chips, pointing and response, selections, good time, what was looked at."""
