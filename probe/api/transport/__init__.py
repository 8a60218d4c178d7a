"""Batches on their way: threads, pace, caps, retries."""
