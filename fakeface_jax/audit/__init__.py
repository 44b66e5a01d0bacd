"""The article's study of a detector, from its images to a page."""
