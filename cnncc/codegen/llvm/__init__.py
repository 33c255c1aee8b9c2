"""The back end that writes LLVM IR as text: the only place that spells LLVM.

Writing text is an order of magnitude faster than building llvmlite's objects, and nothing is lost: every module is
parsed and verified before use.
"""
