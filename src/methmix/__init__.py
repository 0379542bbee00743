"""Tell which tissues a mixture of DNA comes from, from its methylation."""

__version__ = "0.1.0"
