"""The local proxy: one port on this machine for kubectl, to any number of clusters.

It forwards TLS connections, unread but for the server name in their first message, to the cluster's
agent by way of the relay. It holds no Kubernetes credential, and could not use one.
"""
