"""A backbone from images that a program draws: no photograph, of anyone or anything, goes into it."""
