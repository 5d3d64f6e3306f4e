"""Tenants: organizations, teams, memberships and service accounts."""
