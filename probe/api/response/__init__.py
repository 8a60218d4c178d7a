"""Answers of a service: cut to pictures, read as scores, or told as troubles."""
