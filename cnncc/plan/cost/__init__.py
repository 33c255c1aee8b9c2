"""Cost models, in cycles of one core: steps and tiles, memory transfers, and shards.

The numbers of a machine are fields of its `Core`; the constants here are margins and limits of the models. The models
know neither kernels nor views: the planner counts operations and bytes, and the models convert them to cycles.
"""
