"""AttackBench's measure of attacks, written from its definition, on this project's attacks and rivals."""
