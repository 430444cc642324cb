"""Criteria, networks and data that several of the textbook claims share."""
