"""Faces in photographs: where they are, and how they sit in the images that a network was trained on."""
