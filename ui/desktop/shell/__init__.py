"""What surrounds the pages: navigation rail, header, message bar, jobs tray."""
