"""Times and memory, as ratios taken in one run. `make bench` runs them; nothing here is a test."""
