"""nntrack makes the two neural networks of Opentrack's NeuralNet head tracker, from raw archives to ONNX files."""
