"""``fourfold nlse``: runs described by TOML files."""
