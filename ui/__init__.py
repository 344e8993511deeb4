"""How people reach the application."""
