"""What habitat-webhook costs, measured beside references in one run: `make bench`."""
