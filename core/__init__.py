"""What the application does; no Qt, no SQL, no neural library."""
