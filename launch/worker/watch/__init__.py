"""What is watched inside a rank: loaders, training, checkpoints."""
