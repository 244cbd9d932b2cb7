"""Run a detector in batches, each image once: cache, keys, progress."""
