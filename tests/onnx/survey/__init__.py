"""Which opsets, element types and attributes of each ONNX operator the importer takes, found by trying."""
