"""Shows why a picture got its tags."""
