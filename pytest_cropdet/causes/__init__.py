"""Why AP was lost: the chain of renderings, what became of each object, and what recovers it."""
