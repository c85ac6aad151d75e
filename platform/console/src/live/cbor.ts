/** CBOR as the live stream sends it: maps, arrays, texts, numbers, booleans, null, and RFC 8746 columns. Nothing else. */

export type Column = Int32Array | BigInt64Array | Float64Array;
export type Cbor = null | boolean | number | bigint | string | Uint8Array | Column | Cbor[] | { [key: string]: Cbor };

const COLUMNS: Record<number, [number, (buffer: ArrayBuffer) => Column]> = {
  78: [4, (buffer) => new Int32Array(buffer)],
  79: [8, (buffer) => new BigInt64Array(buffer)],
  86: [8, (buffer) => new Float64Array(buffer)],
};
const DEEPEST = 16;

/** Decode one item. Throws RangeError when the bytes end early, SyntaxError for anything else that is wrong. */
export function decode(buffer: ArrayBuffer): Cbor {
  const reader = new Reader(buffer);
  const item = reader.item(0);
  if (!reader.isAtEnd) throw new SyntaxError("bytes follow the item");
  return item;
}

class Reader {
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(buffer: ArrayBuffer) {
    this.view = new DataView(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  get isAtEnd(): boolean {
    return this.at === this.bytes.length;
  }

  item(depth: number): Cbor {
    if (depth > DEEPEST) throw new SyntaxError("nested too deeply");
    const first = this.view.getUint8(this.at++);
    const major = first >> 5;
    const info = first & 31;
    if (major === 7) return this.simple(info);
    const length = this.argument(info);
    if (major === 0) return length;
    if (major === 1) return typeof length === "bigint" ? -1n - length : -1 - length;
    const count = Number(length);
    if (major === 2) return this.take(count);
    if (major === 3) return new TextDecoder("utf-8", { fatal: true }).decode(this.take(count));
    if (major === 4) return this.list(count, depth);
    if (major === 5) return this.map(count, depth);
    return this.column(count);
  }

  private list(count: number, depth: number): Cbor[] {
    const items: Cbor[] = [];
    for (let index = 0; index < count; index++) items.push(this.item(depth + 1));
    return items;
  }

  private map(count: number, depth: number): { [key: string]: Cbor } {
    const entries: [string, Cbor][] = [];
    for (let index = 0; index < count; index++) {
      const key = this.item(depth + 1);
      if (typeof key !== "string") throw new SyntaxError("a key is no text");
      entries.push([key, this.item(depth + 1)]);
    }
    // fromEntries makes own properties, so that a key called __proto__ does no harm.
    return Object.fromEntries(entries);
  }

  private column(tag: number): Column {
    const kind = COLUMNS[tag];
    const bytes = this.item(DEEPEST);
    if (kind === undefined || !(bytes instanceof Uint8Array)) throw new SyntaxError(`tag ${tag} is not understood`);
    const [width, make] = kind;
    if (bytes.length % width !== 0) throw new SyntaxError(`a column of ${bytes.length} bytes`);
    // A copy: its start is aligned then.
    return make(bytes.slice().buffer);
  }

  private simple(info: number): Cbor {
    const at = this.at;
    if (info === 20 || info === 21) return info === 21;
    if (info === 22 || info === 23) return null;
    if (info === 25) {
      this.at += 2;
      return half(this.view.getUint16(at));
    }
    if (info === 26) {
      this.at += 4;
      return this.view.getFloat32(at);
    }
    if (info === 27) {
      this.at += 8;
      return this.view.getFloat64(at);
    }
    throw new SyntaxError(`simple value ${info} is not understood`);
  }

  private argument(info: number): number | bigint {
    if (info < 24) return info;
    const at = this.at;
    if (info === 24) {
      this.at += 1;
      return this.view.getUint8(at);
    }
    if (info === 25) {
      this.at += 2;
      return this.view.getUint16(at);
    }
    if (info === 26) {
      this.at += 4;
      return this.view.getUint32(at);
    }
    if (info !== 27) throw new SyntaxError(`length ${info} is not understood`);
    this.at += 8;
    const big = this.view.getBigUint64(at);
    return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : big;
  }

  private take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) throw new RangeError("the message ends early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
}

function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
