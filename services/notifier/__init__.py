"""The notifier: hears every case event, decides who must know, and sees to it that they are told."""
