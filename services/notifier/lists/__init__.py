"""What the desk adds while everything runs: subscriptions and silences."""
