"""Signing in by OAuth 2.0 and OpenID Connect: one grant a module."""
