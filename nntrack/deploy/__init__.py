"""The ONNX files: how they are made, and how they run without torch."""

import os

# From 1.29 on onnxruntime writes a device id and usage events into the home folder unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
