"""How the recorder gets into ranks that somebody else starts, and finds out which ranks they are."""
