"""Images with their objects: readers of data sets, pseudo-labels, categories by name, the truth in a window."""
