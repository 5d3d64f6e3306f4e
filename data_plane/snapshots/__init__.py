"""The pod's copy of the policy: delivered, verified, kept on a shelf, swapped whole."""
