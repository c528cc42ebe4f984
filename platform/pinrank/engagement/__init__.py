"""What people did with a pin, as words about it."""
