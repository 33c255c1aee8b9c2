"""A project of C around a model, for a microcontroller without a system: see README.md."""
