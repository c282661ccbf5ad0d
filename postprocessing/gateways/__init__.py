"""The services outside that the agent or its scripts call over HTTP."""
