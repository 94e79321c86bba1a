"""`python -m stars_bench`: the command line."""

from stars_bench.cli import main

main()
