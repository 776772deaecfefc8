// SPDX-License-Identifier: Apache-2.0

// Feed writes a small log with golang.org/x/mod/sumdb, has a C2SP witness cosign it as it grows, and
// checks each answer. The log lies in a folder as tlog-tiles serves it, for others to read.
//
//	feed new <key file> <origin>                                  makes a log key, prints its vkey
//	feed run <key file> <folder> <witness URL> <witness vkey>...
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"incamera.example/verify/c2sp"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// memory is the log: its entries, and their hashes in the order of tlog.StoredHashes.
type memory struct {
	entries [][]byte
	hashes  []tlog.Hash
}

func (m *memory) ReadHashes(indexes []int64) (found []tlog.Hash, err error) {
	for _, index := range indexes {
		found = append(found, m.hashes[index])
	}
	return found, nil
}

func (m *memory) grow(size int, salt string) {
	for number := len(m.entries); number < size; number++ {
		entry := fmt.Appendf(nil, "entry %d%s", number, salt)
		m.hashes = append(m.hashes, must(tlog.StoredHashes(int64(number), entry, m))...)
		m.entries = append(m.entries, entry)
	}
}

func (m *memory) checkpoint(signer note.Signer) string {
	size := int64(len(m.entries))
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), size, must(tlog.TreeHash(size, m)))
	return string(must(note.Sign(&note.Note{Text: text}, signer)))
}

// submit asks the witness to go from size old to the present one; the status and what it said.
func (m *memory) submit(witness string, old int, signer note.Signer) (int, string, string) {
	proof := ""
	if size := len(m.entries); 0 < old && old < size {
		for _, hash := range must(tlog.ProveTree(int64(size), int64(old), m)) {
			proof += hash.String() + "\n"
		}
	}
	body := fmt.Sprintf("old %d\n%s\n%s", old, proof, m.checkpoint(signer))
	answer := must(http.Post(witness+"/add-checkpoint", "text/plain", strings.NewReader(body)))
	defer answer.Body.Close()
	return answer.StatusCode, string(must(io.ReadAll(answer.Body))), answer.Header.Get("Content-Type")
}

// write puts the log's tiles and bundles into folder, as tlog-tiles names them.
func (m *memory) write(folder string, from int) {
	for _, tile := range tlog.NewTiles(8, int64(from), int64(len(m.entries))) {
		save(folder, c2sp.TilePath(tile), must(tlog.ReadTileData(tile, m)))
		if tile.L != 0 {
			continue
		}
		var bundle []byte
		for _, entry := range m.entries[tile.N*256:][:tile.W] {
			bundle = append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...)
		}
		tile.L = -1
		save(folder, c2sp.TilePath(tile), bundle)
	}
}

func save(folder, name string, data []byte) {
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		log.Fatal(err)
	}
}

func expect(what string, status, wanted int, said, saidWanted string) {
	if status != wanted || (saidWanted != "" && said != saidWanted) {
		log.Fatalf("%s: the witness answered %d %q, not %d %q", what, status, said, wanted, saidWanted)
	}
	fmt.Printf("%s: %d\n", what, status)
}

func run(signer note.Signer, folder, witness string, keys []note.Verifier) {
	var m memory
	for _, size := range []int{0, 1, 5, 255, 256, 300, 1000} {
		old := len(m.entries)
		m.grow(size, "")
		status, lines, _ := m.submit(witness, old, signer)
		expect(fmt.Sprintf("from size %d to %d", old, size), status, 200, "", "")
		note := must(note.Open([]byte(m.checkpoint(signer)+lines), note.VerifierList(keys...)))
		if len(note.Sigs) != len(keys) {
			log.Fatalf("only %d of %d keys cosigned", len(note.Sigs), len(keys))
		}
		m.write(folder, old)
		save(folder, "checkpoint", []byte(m.checkpoint(signer)+lines))
	}
	status, said, kind := m.submit(witness, 5, signer)
	expect("an old size that is not the last", status, 409, said, "1000\n")
	if kind != "text/x.tlog.size" {
		log.Fatal("the size came as ", kind)
	}
	var fork memory
	fork.grow(1000, "!")
	status, _, _ = fork.submit(witness, 1000, signer)
	expect("the same size with another root", status, 422, "", "")
	fork.grow(1200, "!")
	status, _, _ = fork.submit(witness, 1000, signer)
	expect("a larger tree that does not extend it", status, 422, "", "")
	fork.entries = fork.entries[:400]
	status, _, _ = fork.submit(witness, 1000, signer)
	expect("an old size above the checkpoint's", status, 400, "", "")
	secret, _, err := note.GenerateKey(rand.Reader, signer.Name())
	if err != nil {
		log.Fatal(err)
	}
	status, _, _ = m.submit(witness, 1000, must(note.NewSigner(secret)))
	expect("a key the witness does not know", status, 403, "", "")
	if secret, _, err = note.GenerateKey(rand.Reader, "unknown.example/log"); err != nil {
		log.Fatal(err)
	}
	status, _, _ = m.submit(witness, 0, must(note.NewSigner(secret)))
	expect("an origin the witness does not know", status, 404, "", "")
	answer := must(http.Post(witness+"/add-checkpoint", "text/plain", bytes.NewReader([]byte("old 00\n\n"))))
	answer.Body.Close()
	expect("a malformed request", answer.StatusCode, 400, "", "")
}

func main() {
	log.SetFlags(0)
	switch {
	case len(os.Args) == 4 && os.Args[1] == "new":
		secret, vkey, err := note.GenerateKey(rand.Reader, os.Args[3])
		if err != nil {
			log.Fatal(err)
		}
		save(filepath.Dir(os.Args[2]), filepath.Base(os.Args[2]), []byte(secret))
		fmt.Println(vkey)
	case len(os.Args) >= 6 && os.Args[1] == "run":
		secret := string(must(os.ReadFile(os.Args[2])))
		var keys []note.Verifier
		for _, vkey := range os.Args[5:] {
			keys = append(keys, must(c2sp.NewCosigner(vkey)))
		}
		run(must(note.NewSigner(secret)), os.Args[3], strings.TrimSuffix(os.Args[4], "/"), keys)
	default:
		log.Fatal("usage: feed new <key file> <origin>, or feed run <key file> <folder> <witness URL> <witness vkey>...")
	}
}
