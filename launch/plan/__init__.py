"""Words in, plan out, and back: what the arguments mean, faults and their grammar, topology, the sweep's words."""
