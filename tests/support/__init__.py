"""What several kinds of test share: a model of the Supervisor, Pod Security checks, generated pods."""
