"""How people and systems see notices and acknowledge them: the link's page, the API, Kafka."""
