"""Measures the bars: each figure beside the limit of the parts below, in the same run."""
