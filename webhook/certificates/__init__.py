"""Certificates in a cluster: the keeper of CA and leaf, and of the caBundle of every webhook configuration of ours."""
