"""What happened: from the pods' reports to the ledger, its roll-ups and the questions asked of them."""
