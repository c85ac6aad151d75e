/** A small CBOR encoder, written apart from the decoder that it tests. */

interface Tagged {
  tag: number;
  content: Buffer;
}
export type Plain = null | boolean | number | string | Tagged | Plain[] | { [key: string]: Plain };

export function column(tag: number, values: Int32Array | BigInt64Array | Float64Array): Plain {
  return { tag, content: Buffer.from(values.buffer, values.byteOffset, values.byteLength) } as unknown as Plain;
}

export function encode(item: Plain): ArrayBuffer {
  return bytes(Buffer.concat(parts(item)));
}

export function bytes(buffer: Buffer): ArrayBuffer {
  return new Uint8Array(buffer).buffer;
}

function parts(item: Plain): Buffer[] {
  if (item === null) return [Buffer.of(0xf6)];
  if (typeof item === "boolean") return [Buffer.of(item ? 0xf5 : 0xf4)];
  if (typeof item === "number") {
    if (Number.isInteger(item) && item >= 0) return [head(0, item)];
    const float = Buffer.alloc(9, 0xfb);
    float.writeDoubleBE(item, 1);
    return [float];
  }
  if (typeof item === "string") return [head(3, Buffer.byteLength(item)), Buffer.from(item)];
  if (Array.isArray(item)) return [head(4, item.length), ...item.flatMap(parts)];
  if (isTagged(item)) return [head(6, item.tag), head(2, item.content.length), item.content];
  const entries = Object.entries(item);
  return [head(5, entries.length), ...entries.flatMap(([key, value]) => [...parts(key), ...parts(value)])];
}

function isTagged(item: object): item is Tagged {
  return "content" in item && Buffer.isBuffer(item.content);
}

function head(major: number, argument: number): Buffer {
  const first = major << 5;
  if (argument < 24) return Buffer.of(first | argument);
  if (argument < 256) return Buffer.of(first | 24, argument);
  const long = Buffer.alloc(9);
  long[0] = first | 27;
  long.writeBigUInt64BE(BigInt(argument), 1);
  return long;
}
