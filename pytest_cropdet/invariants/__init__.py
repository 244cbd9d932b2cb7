"""What every detector must satisfy on crops, and every function that maps boxes."""
