"""One file a logger: what a run learns while it trains, in another program's form. `log.jsonl` is always written."""
