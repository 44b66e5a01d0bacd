"""A local page for one photograph: faces, verdicts, maps, what the file says."""
