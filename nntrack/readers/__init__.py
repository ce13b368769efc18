"""One module per dataset: an archive in, samples out; and the conversion of an archive to an HDF5 file."""
