"""The ONNX files: how they are made, and how they run without torch."""
