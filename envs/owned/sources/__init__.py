"""Films, tables, simulators: a source is a module that lists episodes; one importer makes shards of them."""
