"""Who hears of what: the alerts file, its rules, and what nothing holds back."""
