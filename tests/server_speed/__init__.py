"""Measure servers: many clients against one after another, what holds up whom, and other servers beside this one."""
