"""What pictures are: their headers, what lies behind them, and how they are decoded."""
