"""Wire protocols: one folder each, the same file names in each; what they share lies beside them."""
