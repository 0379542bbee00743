"""Estimate from DNA methylation which tissues a mixture of DNA comes from, and in which proportions."""

__version__ = "0.1.0"
