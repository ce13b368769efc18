"""How the networks are trained: batches, augmentation, optimizer, loop, checkpoints, several devices."""
