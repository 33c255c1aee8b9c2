"""A model over folders of images: rows in the order of the files, and files of results that can be gone on with."""
