"""The protocols, sans-IO: values and bytes in, values and bytes out; no socket, no clock."""
