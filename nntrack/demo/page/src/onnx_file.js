// What of an ONNX file's own fields the client looks at; onnxruntime-web does not tell them.

// ModelProto.model_version, 0 if the file does not state it. Throws for bytes that are no ONNX file.
export function modelVersion(bytes) {
  let place = 0;
  const varint = () => {
    let [value, factor] = [0, 1];
    for (;;) {
      if (place >= bytes.length) throw new Error("it is no ONNX file");
      const byte = bytes[place++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
      factor *= 128;
    }
  };
  let version = 0;
  while (place < bytes.length) {
    const tag = varint();
    const [field, type] = [Math.floor(tag / 8), tag % 8];
    if (type === 0) {
      const value = varint();
      if (field === 5) version = value;
    } else if (type === 2) {
      const length = varint();
      place += length;
    } else throw new Error("it is no ONNX file");
  }
  if (place > bytes.length) throw new Error("it is cut off");
  return version;
}
