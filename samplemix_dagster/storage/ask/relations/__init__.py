"""The views, and the tables behind them."""
