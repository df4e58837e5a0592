"""One shelf of stock, sold through many shops."""

__version__ = "0.1.0"
