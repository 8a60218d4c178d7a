"""What would change the decision, and which service looks at what."""
