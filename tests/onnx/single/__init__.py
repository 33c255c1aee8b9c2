"""Models of one node with random attributes, for every operator of networks in every version of the standard."""
