"""The chat panel: a widget, its wire messages, and the threads between it and a chat."""
