"""What each script does between its flags and the library; first of all `app`, which all of them run in."""
