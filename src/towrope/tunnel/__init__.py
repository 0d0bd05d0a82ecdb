"""The only shared I/O: a WebSocket as a stream and as an asyncio transport, and splicing."""
