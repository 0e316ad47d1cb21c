"""`rogatory verify`: counts a second time, from MongoDB and from the topics' own bytes, that nothing was lost.

It shares with the services the pure functions alone that decide what a history means (`evolve`, how a record is read,
how a chain is linked), and nothing of their loop. First every topic is read once, and what it shows is put into shards
by the record that it is about; then the documents of each shard are held against it. Memory stays flat.
"""
