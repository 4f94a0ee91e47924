"""The daemon's figures beside those of C programs that do the least possible, in one run."""
