"""The Kubernetes API: raw JSON, over the connections and credentials of the `kubernetes` package. Only this imports it.

No typed model anywhere: an object is the dict that came, so fields that are newer than this code survive a write, and
an informer keeps the few values that its caller wants.
"""
