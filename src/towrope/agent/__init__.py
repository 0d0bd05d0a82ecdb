"""The agent in the cluster: listens outwards, ends the caller's TLS, and guards the apiserver."""
