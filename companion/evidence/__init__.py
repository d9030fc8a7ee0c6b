"""What the paper's printed numbers and our runs support: the tables' values, the audit, the ledger, statistics."""
