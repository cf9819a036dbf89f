"""Our numpy interpreter of the SAS commands, one module per task."""
