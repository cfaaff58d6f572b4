"""The database as a file: connections, locks, journal, encryption, pages."""
