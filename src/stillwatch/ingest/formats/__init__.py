"""One module per log format; a module here that defines FORMAT is found by itself."""
