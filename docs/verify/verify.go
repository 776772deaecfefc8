// SPDX-License-Identifier: Apache-2.0

// Verify checks a log with the packages that guard Go's module mirror: golang.org/x/mod/sumdb/note
// for signatures, golang.org/x/mod/sumdb/tlog for the Merkle tree.
//
//	verify <URL of the log> <log vkey> [<witness vkey>...]
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"incamera.example/verify/c2sp"
)

func get(url string) ([]byte, error) {
	answer, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 17<<20)) // a full bundle has at most 16 MiB
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// tiles fetches tiles by URL; tlog.TileHashReader checks every one against the signed root.
type tiles string

func (url tiles) Height() int                     { return 8 }
func (url tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (url tiles) ReadTiles(wanted []tlog.Tile) (found [][]byte, err error) {
	for _, each := range wanted {
		data, err := get(string(url) + "/" + c2sp.TilePath(each))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func main() {
	log.SetFlags(0)
	if len(os.Args) < 3 {
		log.Fatal("usage: verify <URL> <log vkey> [<witness vkey>...]")
	}
	url := os.Args[1]
	logKey := must(note.NewVerifier(os.Args[2]))
	keys := []note.Verifier{logKey}
	for _, vkey := range os.Args[3:] {
		keys = append(keys, must(c2sp.NewCosigner(vkey)))
	}
	opened := must(note.Open(must(get(url+"/checkpoint")), note.VerifierList(keys...)))
	origin, tree, err := c2sp.Checkpoint(opened.Text)
	signed := func(each note.Signature) bool { return each.Name == origin && each.Hash == logKey.KeyHash() }
	if err != nil || origin != logKey.Name() || !slices.ContainsFunc(opened.Sigs, signed) {
		log.Fatal("not this log's checkpoint: ", origin, " ", err)
	}
	fmt.Printf("checkpoint: %s, %d entries, signed by %d of %d keys\n", origin, tree.N, len(opened.Sigs), len(keys))

	hashes := tlog.TileHashReader(tree, tiles(url))
	for first := int64(0); first < tree.N; first += 256 {
		checkBundle(url, tree, hashes, first)
	}
	fmt.Printf("entries: %d read, each has the hash in its tile\n", tree.N)
	if tree.N == 0 {
		return
	}
	last := tree.N - 1
	leaf := must(hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, last)}))[0]
	proof := must(tlog.ProveRecord(tree.N, last, hashes))
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, last, leaf); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("inclusion: entry %d proven by %d hashes\n", last, len(proof))
	old := tree.N/2 + 1
	oldHash := must(tlog.TreeHash(old, hashes))
	extends := must(tlog.ProveTree(tree.N, old, hashes))
	if err := tlog.CheckTree(extends, tree.N, tree.Hash, old, oldHash); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("consistency: size %d extends size %d, proven by %d hashes\n", tree.N, old, len(extends))
}

// checkBundle reads the entries from first on and compares each with its authenticated leaf hash.
func checkBundle(url string, tree tlog.Tree, hashes tlog.HashReader, first int64) {
	width := int(min(256, tree.N-first))
	where := c2sp.TilePath(tlog.Tile{H: 8, L: -1, N: first / 256, W: width})
	data := must(get(url + "/" + where))
	var indexes []int64
	for i := range width {
		indexes = append(indexes, tlog.StoredHashIndex(0, first+int64(i)))
	}
	for i, leaf := range must(hashes.ReadHashes(indexes)) {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			log.Fatalf("%s: ends before entry %d", where, first+int64(i))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		if tlog.RecordHash(data[2:end]) != leaf {
			log.Fatalf("%s: entry %d is not the one that was logged", where, first+int64(i))
		}
		data = data[end:]
	}
	if len(data) != 0 {
		log.Fatalf("%s: bytes after the last entry", where)
	}
}
