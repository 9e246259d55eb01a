import { customType } from 'drizzle-orm/sqlite-core';

// The driver takes Buffers and gives ArrayBuffers; the rest of the code knows Uint8Array only.
export const bytes = customType<{ data: Uint8Array; driverData: Buffer }>({
  dataType: () => 'blob',
  toDriver: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength),
  fromDriver: (value) => new Uint8Array(value),
});
