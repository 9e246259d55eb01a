/**
 * CRC-32 as in zip, PNG and Ethernet (ISO 3309: reflected polynomial 0xEDB88320). It finds every
 * error burst of up to 32 bits, hence every single wrong byte. It guards against accidents, not
 * against an attacker, who would recompute it. Eight bytes a step ("slicing by 8", Kounavis and Berry 2008): byte by
 * byte, each step waits for the one before.
 */
export function crc32(bytes: Uint8Array): number {
  const whole = bytes.length - (bytes.length % 8);
  let crc = -1;
  let k = 0;
  for (; k < whole; k += 8) {
    crc ^= bytes[k] | (bytes[k + 1] << 8) | (bytes[k + 2] << 16) | (bytes[k + 3] << 24);
    crc =
      TABLES[0x700 | (crc & 0xff)] ^
      TABLES[0x600 | ((crc >>> 8) & 0xff)] ^
      TABLES[0x500 | ((crc >>> 16) & 0xff)] ^
      TABLES[0x400 | (crc >>> 24)] ^
      TABLES[0x300 | bytes[k + 4]] ^
      TABLES[0x200 | bytes[k + 5]] ^
      TABLES[0x100 | bytes[k + 6]] ^
      TABLES[bytes[k + 7]];
  }
  for (; k < bytes.length; k += 1) crc = TABLES[(crc ^ bytes[k]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** TABLES[256 n + b]: what byte b leaves behind with n zero bytes after it. */
const TABLES = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  TABLES[byte] = crc;
}
for (let at = 256; at < TABLES.length; at += 1) {
  const before = TABLES[at - 256];
  TABLES[at] = TABLES[before & 0xff] ^ (before >>> 8);
}
