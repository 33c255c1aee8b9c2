"""Running an object of another machine, as it is: see README.md."""
