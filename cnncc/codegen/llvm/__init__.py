"""The back end that writes LLVM IR as text; no other module contains LLVM text.

Writing text is an order of magnitude faster than building llvmlite's objects. LLVM parses and verifies every module
before use.
"""
