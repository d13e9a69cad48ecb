"""Files of rows, and how a row becomes an event that the HTTP door could have brought."""
