"""The admission server: the AdmissionReview contract over TLS, health and metrics beside it on a plain port."""
