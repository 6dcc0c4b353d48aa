// What an .onnx file says of itself beside its graph: ModelProto.metadata_props of onnx.proto. ONNX Runtime's JavaScript
// API does not give it, so that it is read here, from the bytes.

const METADATA_PROPS = 14; // a repeated StringStringEntryProto, which is …
const KEY = 1;
const VALUE = 2;

/** Uint8Array of the file → its metadata, text by name; RangeError where the bytes are no protocol buffer. */
export function metadataOf(bytes) {
  const text = new TextDecoder();
  const entries = [];
  for (const [number, content] of fieldsOf(bytes)) {
    if (number !== METADATA_PROPS) continue;
    const entry = new Map(fieldsOf(content));
    entries.push([text.decode(entry.get(KEY)), text.decode(entry.get(VALUE))]);
  }
  return Object.fromEntries(entries);
}

/** The fields of a message that have a length: number and content. Numbers are passed over. */
function* fieldsOf(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("the file ends in the middle of a number");
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 2) {
      const end = varint() + at;
      yield [number, bytes.subarray(at, end)];
      at = end;
    } else throw new RangeError("this is no protocol buffer");
    if (at > bytes.length) throw new RangeError("the file ends in the middle of a field");
  }
}
