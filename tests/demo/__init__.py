"""`make run`: a real API server, the webhook, the examples, and a page that says what happened and why."""
