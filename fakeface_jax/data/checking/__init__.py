"""What a data set holds besides faces: copies, shortcuts, overlap with what was trained on."""
