"""Authorities, the desk and gateways played by a script: for demonstrations, and for partners to try theirs.

They know what a partner knows: Kafka's address, names and a script. They import no service and have no database.
"""
