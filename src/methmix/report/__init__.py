"""Pictures and pages: the comparison of arms, Miami plots, and the learning-rate sweep."""
