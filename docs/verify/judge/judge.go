// SPDX-License-Identifier: Apache-2.0

// Judge reads the vectors of a folder with golang.org/x/mod/sumdb and says of each file what it
// thinks: one line "<file> accept" or "<file> refuse".
//
//	judge <folder>
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type row struct {
	File  string
	Vkeys []string
}

type proof struct {
	Index, Size, Old, New int64
	Leaf, Root            string
	OldRoot               string `json:"old_root"`
	NewRoot               string `json:"new_root"`
	Proof                 []string
}

func hashes(texts ...string) (found []tlog.Hash, err error) {
	for _, each := range texts {
		data, err := base64.StdEncoding.DecodeString(each)
		if err != nil || len(data) != tlog.HashSize {
			return nil, fmt.Errorf("not a hash: %q", each)
		}
		found = append(found, tlog.Hash(data))
	}
	return found, nil
}

func judgeNote(data []byte, vkeys []string) error {
	var known []note.Verifier
	for _, vkey := range vkeys {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return err
		}
		known = append(known, verifier)
	}
	_, err := note.Open(data, note.VerifierList(known...))
	return err
}

func judgeProof(data []byte, inclusion bool) error {
	var p proof
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	path, err := hashes(p.Proof...)
	if err != nil {
		return err
	}
	if inclusion {
		ends, err := hashes(p.Root, p.Leaf)
		if err != nil {
			return err
		}
		return tlog.CheckRecord(path, p.Size, ends[0], p.Index, ends[1])
	}
	ends, err := hashes(p.NewRoot, p.OldRoot)
	if err != nil {
		return err
	}
	return tlog.CheckTree(path, p.New, ends[0], p.Old, ends[1])
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: judge <folder>")
	}
	var index struct{ Vectors []row }
	text, err := os.ReadFile(filepath.Join(os.Args[1], "index.json"))
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	if err != nil {
		log.Fatal(err)
	}
	for _, each := range index.Vectors {
		kind, _, _ := strings.Cut(each.File, "/")
		data, err := os.ReadFile(filepath.Join(os.Args[1], each.File))
		if err != nil {
			log.Fatal(err)
		}
		switch kind {
		case "notes":
			err = judgeNote(data, each.Vkeys)
		case "inclusion", "consistency":
			err = judgeProof(data, kind == "inclusion")
		default:
			continue
		}
		verdict := "accept"
		if err != nil {
			verdict = "refuse"
		}
		fmt.Println(each.File, verdict)
	}
}
