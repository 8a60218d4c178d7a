"""What is known of services, and what can be found out by asking them."""
