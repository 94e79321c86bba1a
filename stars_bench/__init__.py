"""stars-bench: prepare skeleton data, run methods under the same rules, print the table.

The command line is `stars-bench` (see `stars-bench --help`). Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
