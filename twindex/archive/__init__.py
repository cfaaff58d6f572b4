"""The portable gallery archive: one file with a consistent copy of the database and a manifest of its bytes."""
