// SPDX-License-Identifier: Apache-2.0
// Check the ML-DSA-44 cosignature of a checkpoint with @noble/post-quantum.
//
//   node mldsa.mjs CHECKPOINT WITNESS_VKEY
import fs from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const found = createRequire(import.meta.url).resolve("@noble/post-quantum/ml-dsa.js");
const { ml_dsa44 } = await import(pathToFileURL(found));

const [file, vkey] = process.argv.slice(2);
const note = fs.readFileSync(file, "utf8");
const gap = note.lastIndexOf("\n\n");
const [origin, size, root] = note.split("\n");
const [name, id] = vkey.split("+", 2);
const key = Buffer.from(vkey.slice(name.length + id.length + 2), "base64");
if (key[0] !== 0x06) throw new Error("not an ML-DSA-44 witness");
const line = note.slice(gap + 2).split("\n").find((each) => each.startsWith(`— ${name} `));
const blob = Buffer.from(line.split(" ")[2], "base64"); // key ID, time, signature
const u64 = (number) => { const b = Buffer.alloc(8); b.writeBigUInt64BE(BigInt(number)); return b; };
const named = (text) => Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
const message = Buffer.concat([
  Buffer.from("subtree/v1\n\0"), named(name), blob.subarray(4, 12), named(origin),
  u64(0), u64(size), Buffer.from(root, "base64"),
]);
if (blob.subarray(0, 4).toString("hex") !== id || !ml_dsa44.verify(blob.subarray(12), message, key.subarray(1)))
  throw new Error("the cosignature does not hold");
console.log(`@noble/post-quantum: ${name} cosigned size ${size} of ${origin}`);
