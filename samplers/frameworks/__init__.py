"""What looks at who calls, and what adapts to a framework: torch's and torchdata's loaders, accelerate, Lightning."""
