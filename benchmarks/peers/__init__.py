"""Programs of others that do a part of what Rogatory does, each in an environment of its own."""
