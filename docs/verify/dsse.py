# SPDX-License-Identifier: Apache-2.0
"""Lay out a log entry for openssl: what is signed (pae), the signature (sig), the key (key.pem).

Usage: dsse.py ENTRY FOUNDING_ENTRY

An entry is a DSSE envelope. The founding entry, number 0, names the operator's key and the vault's.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

SPKI = bytes.fromhex("302a300506032b6570032100")  # SubjectPublicKeyInfo of an Ed25519 key


def main(entry: str, founding: str) -> None:
    envelope = json.loads(Path(entry).read_bytes())
    region = json.loads(base64.b64decode(json.loads(Path(founding).read_bytes())["payload"]))
    keys = [base64.b64decode(region[name]) for name in ("operator_key", "vault_key")]
    [signature] = envelope["signatures"]
    [key] = [each for each in keys if hashlib.sha256(each).hexdigest() == signature["keyid"]]
    kind, payload = envelope["payloadType"].encode(), base64.b64decode(envelope["payload"])
    Path("pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    Path("sig").write_bytes(base64.b64decode(signature["sig"]))
    pem = base64.b64encode(SPKI + key).decode()
    Path("key.pem").write_text(f"-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n")
    print(payload.decode())


main(*sys.argv[1:])
