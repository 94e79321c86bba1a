"""`python -m stars_bench`: the command line."""

import signal

# Ctrl-C while modules are imported: the end, without a traceback. `main` has an answer of its own.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from stars_bench.display import streams  # noqa: E402

streams.make_usable()

from stars_bench.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
