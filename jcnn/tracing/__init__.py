"""Traced programs: their equations, the layers of a model in them, and its activations."""
