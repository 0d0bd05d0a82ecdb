"""The control plane: the resource API, the agents' API, and what they store."""
