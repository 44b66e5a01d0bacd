"""Fakes made of photographs of real faces, with an exact mask."""

CONTENT = 0  # moves when the same photograph is forged otherwise, so that nothing older is taken for it
