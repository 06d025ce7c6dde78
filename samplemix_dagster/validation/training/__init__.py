"""Trainings: what a learner reads, and what it lost, by address."""
