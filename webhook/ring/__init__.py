"""The ring controller: what to write is decided by pure modules, and written by the reconcilers (design.md §7)."""
