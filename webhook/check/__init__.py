"""Whether the installation in a cluster works, seen from the user's side: what `habitat-webhook check` asks."""
