"""What is wrong with the pods and workloads of a whole cluster: what `habitat-webhook doctor` looks for."""
