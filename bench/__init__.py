"""Measurements of the whole path, beside the same thing done directly, in one run.

They print; they never judge. `make bench` runs all of them.
"""
