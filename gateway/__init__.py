"""The domain: the rules on money, keys, limits and routing. It knows no web framework."""
