"""Views: what models see of stimulus sets, made once on each machine and read ahead of the network."""
