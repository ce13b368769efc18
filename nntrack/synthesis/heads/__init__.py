"""Where the meshes of heads come from."""
