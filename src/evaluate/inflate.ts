/**
 * Bytes inflated from zlib (`deflate`) or gzip data by the platform's own decompressor.
 * @throws what that throws for damaged data, and a RangeError beyond `limit` bytes.
 */
export async function inflate(packed: Uint8Array, format: CompressionFormat, limit: number): Promise<Uint8Array> {
  const stream = new Blob([new Uint8Array(packed)]).stream().pipeThrough(new DecompressionStream(format));
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      length += part.value.length;
      if (length > limit) throw new RangeError(`more than ${limit} bytes`);
    }
  } finally {
    // A stream that failed or was left has no more to say.
    reader.cancel().catch(() => undefined);
  }
  const bytes = new Uint8Array(length);
  let next = 0;
  for (const part of parts) {
    bytes.set(part, next);
    next += part.length;
  }
  return bytes;
}
