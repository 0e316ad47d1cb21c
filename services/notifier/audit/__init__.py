"""The auditor: a second, independent count of who was told."""
