"""What Rogatory costs: measured against a bare loop that does the same I/O, and against what one would write first."""
