"""Models as programmes that run without this project."""
