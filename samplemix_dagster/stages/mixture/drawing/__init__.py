"""The draw: weights, shares, the scale, copies."""
