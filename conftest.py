"""The shapes and types that our annotations state are checked while the tests run.

pytest loads this file before any other that imports our packages. Commands run without these checks.
"""

from jaxtyping import install_import_hook

CHECKED = ["world_models", "envs", "planner", "server"]

# As for mypy, an int will do where a float is asked for.
install_import_hook(CHECKED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
