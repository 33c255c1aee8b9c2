"""ONNX models: a file becomes a graph.

`read` converts the file to plain data, and `importer` iterates over its nodes. `table` has one row for each operator;
`folding` computes values that are known at compile time (mostly shapes). All unsupported operators are reported in one
message, with the names of their nodes.
"""

from .importer import load_onnx

__all__ = ["load_onnx"]
