"""Certificates for a webhook's TLS: a CA, the leaves it signs, and where they are kept. Knows nothing of webhook/."""
