"""Our search and planners under the interfaces of stable-worldmodel, which need not be installed."""
