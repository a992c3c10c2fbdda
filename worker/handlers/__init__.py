"""One handler per kind of message. Each may be repeated at any point and bills once."""
