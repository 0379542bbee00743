"""Panel of normals: what the controls of one laboratory have in common, and what exceeds it."""
