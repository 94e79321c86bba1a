"""The transformer of STARS, and what several methods share: heads, queues, views, optimisers."""
