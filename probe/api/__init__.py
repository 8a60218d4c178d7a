"""How a service is spoken to: sessions, deadlines, bounds."""
