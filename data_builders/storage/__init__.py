"""How rows, documents and tokens lie on disk, and how an interrupted build goes on."""
