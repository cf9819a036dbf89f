"""Reports: static pages of a run or of maps, and summaries of fields."""
