"""Pictures of products; the only room that uses matplotlib, and only inside its functions."""
