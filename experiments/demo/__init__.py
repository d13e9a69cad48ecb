"""The demo: an invented shop for coffee and tea with simulated shoppers, and a published field experiment."""
