"""Terminal output while a search or a training runs: its progress, and the front at the end."""
