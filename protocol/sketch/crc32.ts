/**
 * CRC-32 as in zip, PNG and Ethernet (ISO 3309: reflected polynomial 0xEDB88320). It finds every
 * error burst of up to 32 bits, hence every single wrong byte. It guards against accidents, not
 * against an attacker, who would recompute it.
 */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let k = 0; k < bytes.length; k += 1) crc = TABLE[(crc ^ bytes[k]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});
