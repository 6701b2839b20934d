"""What a batch holds: which crops are drawn, and how they are augmented, blended and encoded."""
