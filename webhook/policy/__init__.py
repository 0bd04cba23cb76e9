"""The cluster-wide policy: its file (`shapes`, `grammar`, `schema`), what it means (`document`, `policy`), and the one
that is in force (`loaded`).
"""
