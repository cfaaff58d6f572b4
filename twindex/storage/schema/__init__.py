"""The tables, how older galleries are brought up to date, and what a database must look like."""
