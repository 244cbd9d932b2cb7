"""Readers of data sets that are no COCO JSON, one layout of files each; `data/loading.py` chooses."""
