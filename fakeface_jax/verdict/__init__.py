"""What may be said of a picture: fake, real, or that it cannot be told, and what the detector knows that is like it."""
