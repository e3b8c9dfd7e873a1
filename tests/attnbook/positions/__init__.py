"""Tests of the positions: each against another library or an independent computation."""
