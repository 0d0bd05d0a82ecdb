"""The relay: the doorman on the public port, listeners, and the rendezvous of two streams."""
