"""From token ids to thought, text and tool calls."""
