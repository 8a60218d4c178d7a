"""What a profile says, and how one is read, checked, filled in and found."""
