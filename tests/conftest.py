"""What every test may ask for; the servers start at the first test that asks, so unit tests start nothing."""

pytest_plugins = ["tests.servers"]
