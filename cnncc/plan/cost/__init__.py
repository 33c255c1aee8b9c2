"""What work costs, in cycles of one core: models of steps and tiles, of memory, and of shards.

All numbers of a machine are those of its `Core`; what stands here as a constant is a margin or a limit of a model. The
models know neither kernels nor views: whoever plans counts operations and bytes, and asks here for cycles.
"""
