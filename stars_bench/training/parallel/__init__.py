"""Several processes and micro-batches that train as one."""
