"""Two methods on the same test clips: hits of every seed, and paired differences."""
