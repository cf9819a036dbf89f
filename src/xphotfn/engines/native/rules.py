"""The version of the rules by which the native engine makes products."""

__all__ = ("RULES",)

RULES = "native-2"
"""It grows when a native task writes other bytes for the same command and inputs: stores then make them anew."""
