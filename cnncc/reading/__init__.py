"""Files → arrays for the inputs of models."""
