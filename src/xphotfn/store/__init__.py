"""Content-addressed products: the store, its manifests, and the task body that fills it."""
