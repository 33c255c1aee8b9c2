"""ONNX models: a file becomes a graph.

`read` turns the file into plain data, `importer` walks over its nodes, `table` has one row an operator, and
`folding` computes what is known at compile time (shapes above all). What is not supported is reported at once,
with the names of all nodes concerned.
"""

from .importer import load_onnx

__all__ = ["load_onnx"]
