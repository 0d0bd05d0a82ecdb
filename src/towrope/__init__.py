"""kubectl to clusters that nobody can dial into: a self-hosted Azure Arc cluster connect."""

__version__ = "0.1.0"
