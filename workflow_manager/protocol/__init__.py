"""The language on the wire: typed messages, and the codec between them and bytes."""
