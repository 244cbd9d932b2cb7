"""One image at a time: compare a crop with its image, find the crop that loses an object."""
