"""One face for every detector: SavedModel, TFLite and any function."""
