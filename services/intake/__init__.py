"""The intake: takes letters by HTTP and Kafka, keeps them, and tells their agencies what becomes of them."""
