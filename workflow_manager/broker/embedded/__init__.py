"""A small STOMP broker in one Python process, for the demo and tests; production is ActiveMQ."""
