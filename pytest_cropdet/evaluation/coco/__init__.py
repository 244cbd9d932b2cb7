"""The evaluator by COCO's rules: matching, average precision and resampling; arrays in, numbers out."""
