"""Who is on duty: the roster, its turns and its gaps."""
