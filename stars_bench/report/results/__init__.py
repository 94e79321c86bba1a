"""From records to the numbers of a leaderboard: what one row is, what it is called, and what is said about it."""
