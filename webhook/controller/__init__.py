"""The process `habitat-webhook controller`: its parts, the Lease by which one of several processes acts, its health."""
