"""webhook/kube on a real API server; on a scripted one where the real one would not do what is asked about."""
