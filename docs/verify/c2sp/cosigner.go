// SPDX-License-Identifier: Apache-2.0

// Package c2sp holds what golang.org/x/mod/sumdb lacks to read a C2SP log: how tlog-tiles names a
// tile, and what a witness signs (tlog-cosignature: Ed25519 and ML-DSA-44).
package c2sp

import (
	"bytes"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// TilePath is tlog.Tile.Path without the tile height, and with "entries" where Go has "data".
func TilePath(t tlog.Tile) string {
	return "tile/" + strings.Replace(strings.TrimPrefix(t.Path(), "tile/8/"), "data/", "entries/", 1)
}

// Checkpoint reads the three lines of a checkpoint's text.
func Checkpoint(text string) (origin string, tree tlog.Tree, err error) {
	line := strings.Split(text, "\n")
	if len(line) != 4 || line[3] != "" {
		return "", tree, fmt.Errorf("a checkpoint has three lines, this one %d", len(line)-1)
	}
	if tree.N, err = strconv.ParseInt(line[1], 10, 64); err != nil {
		return "", tree, err
	}
	tree.Hash, err = tlog.ParseHash(line[2])
	return line[0], tree, err
}

// Cosigner is a note.Verifier for the signatures of a witness.
type Cosigner struct {
	name string
	id   uint32
	key  []byte // the type byte (0x04 Ed25519, 0x06 ML-DSA-44), then the public key
}

// NewCosigner reads a witness's vkey.
func NewCosigner(vkey string) (*Cosigner, error) {
	part := strings.SplitN(vkey, "+", 3)
	if len(part) != 3 {
		return nil, fmt.Errorf("not a vkey: %q", vkey)
	}
	key, err := base64.StdEncoding.DecodeString(part[2])
	if err != nil || len(key) == 0 {
		return nil, fmt.Errorf("not a vkey: %q", vkey)
	}
	id := sha256.Sum256(append([]byte(part[0]+"\n"), key...))
	if fmt.Sprintf("%x", id[:4]) != part[1] {
		return nil, fmt.Errorf("the key ID is not that of this key: %q", vkey)
	}
	return &Cosigner{part[0], binary.BigEndian.Uint32(id[:]), key}, nil
}

func (c *Cosigner) Name() string    { return c.name }
func (c *Cosigner) KeyHash() uint32 { return c.id }

// Verify says whether sig, a timestamp and a signature, is this witness's over the checkpoint text.
func (c *Cosigner) Verify(text, sig []byte) bool {
	if len(sig) < 8 {
		return false
	}
	time, raw := binary.BigEndian.Uint64(sig), sig[8:]
	switch {
	case c.key[0] == 0x04 && len(c.key) == 1+ed25519.PublicKeySize:
		return ed25519.Verify(c.key[1:], fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", time, text), raw)
	case c.key[0] == 0x06:
		key, err := mldsa.NewPublicKey(mldsa.MLDSA44(), c.key[1:])
		if err != nil {
			return false
		}
		message, err := c.subtree(string(text), time)
		return err == nil && mldsa.Verify(key, message, raw, nil) == nil
	}
	return false
}

func (c *Cosigner) subtree(text string, time uint64) ([]byte, error) {
	origin, tree, err := Checkpoint(text)
	if err != nil || len(origin) > 255 || len(c.name) > 255 {
		return nil, fmt.Errorf("not a checkpoint that ML-DSA cosignatures can name")
	}
	var message bytes.Buffer
	message.WriteString("subtree/v1\n\x00")
	message.WriteByte(byte(len(c.name)))
	message.WriteString(c.name)
	binary.Write(&message, binary.BigEndian, time)
	message.WriteByte(byte(len(origin)))
	message.WriteString(origin)
	binary.Write(&message, binary.BigEndian, []int64{0, tree.N})
	message.Write(tree.Hash[:])
	return message.Bytes(), nil
}
