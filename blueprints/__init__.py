"""HTTP only: parse, call one domain verb, render."""
