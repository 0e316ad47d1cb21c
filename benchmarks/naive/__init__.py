"""The naive pipeline: FastStream and Motor as their documentation shows them, one message at a time, tuned."""
