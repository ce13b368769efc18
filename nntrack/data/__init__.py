"""What a sample is, and samples in HDF5 files."""
