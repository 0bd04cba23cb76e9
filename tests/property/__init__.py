"""Properties: what holds for every pod and every set of annotations."""
