"""From records to tables, for the terminal, Markdown, LaTeX, CSV and HTML."""
