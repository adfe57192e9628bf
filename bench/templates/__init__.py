"""Templates reworded, prefixed, disguised: how many are still one family."""
