"""The token stream to fields: reasoning, tool calls, boxes."""
