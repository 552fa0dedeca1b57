"""One adapter for each framework; a file is imported only when a target asks for it."""
