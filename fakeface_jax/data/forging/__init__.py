"""Fakes made of photographs of real faces, with an exact mask."""
