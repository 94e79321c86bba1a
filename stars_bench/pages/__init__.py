"""Floor 0.6: pages that are one HTML file each and ask for nothing else, and what they share: base, style, scripts."""
