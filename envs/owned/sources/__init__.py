"""Films, tables, simulators: a source is a module that lists episodes, and nothing else."""
