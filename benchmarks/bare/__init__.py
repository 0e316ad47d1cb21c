"""The bare loop: the same reads, writes, sends, marks and commits as ours, with bytes that are ready; nothing else."""
