"""``fourfold pc``: circuits and compressed streams from the command line."""
