// SPDX-License-Identifier: Apache-2.0
// Check a .tlog-proof of an entry with @sigstore/verify, the verifier of npm's own provenance.
//
//   node sigstore.cjs FILE.tlog-proof ENTRY LOG_VKEY
const fs = require("node:fs");
const crypto = require("node:crypto");
const dist = require.resolve("@sigstore/verify").replace(/index\.js$/, "tlog/");
const { verifyCheckpoint } = require(dist + "checkpoint.js");
const { verifyMerkleInclusion } = require(dist + "merkle.js");

const [file, entry, vkey] = process.argv.slice(2);
const text = fs.readFileSync(file, "utf8");
const gap = text.indexOf("\n\n");
const [magic, index, ...hashes] = text.slice(0, gap).split("\n");
if (magic !== "c2sp.org/tlog-proof@v1") throw new Error("not a tlog-proof");

const [name, id] = vkey.split("+", 2);
const raw = Buffer.from(vkey.slice(name.length + id.length + 2), "base64");
const prefix = Buffer.from("302a300506032b6570032100", "hex"); // SubjectPublicKeyInfo of Ed25519
const log = {
  logID: Buffer.from(id, "hex"),
  baseURL: `https://${name}`,
  publicKey: crypto.createPublicKey({
    key: Buffer.concat([prefix, raw.subarray(1)]), format: "der", type: "spki",
  }),
};
const claim = {
  canonicalizedBody: fs.readFileSync(entry),
  inclusionProof: {
    logIndex: index.replace("index ", ""),
    hashes: hashes.map((each) => Buffer.from(each, "base64")),
    checkpoint: { envelope: text.slice(gap + 2) },
  },
};
const checkpoint = verifyCheckpoint(claim, [log]);
verifyMerkleInclusion(claim, checkpoint);
console.log(`@sigstore/verify: signed by ${checkpoint.origin}, entry ${claim.inclusionProof.logIndex} of ${checkpoint.logSize} is in it`);
