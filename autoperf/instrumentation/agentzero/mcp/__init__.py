"""Sessions with MCP servers that outlast a call, or begin before it: what is behind the host's own."""
