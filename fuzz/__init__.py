"""Fuzz targets: each feeds a parser what no peer should send, and checks what must always hold."""
