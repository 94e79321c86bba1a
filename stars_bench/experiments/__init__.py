"""From a request to a plan, a run and its records, and everything that starts from a finished run."""
