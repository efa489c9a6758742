"""What a provider speaks, and the wire to it: no database, no money, no Flask."""
