"""Faces drawn by a program, tampered with by a program: examples that need no download."""
