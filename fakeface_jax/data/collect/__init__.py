"""Building a hard set: photographs and generated faces from services and folders, both through the same steps."""
