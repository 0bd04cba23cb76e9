"""What can be said of a workload when it is applied: the problems that its pods will have, and what will surprise."""
