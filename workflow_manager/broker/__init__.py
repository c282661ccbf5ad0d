"""How messages come and go: ports, the STOMP broker behind them, and the receive loop."""
