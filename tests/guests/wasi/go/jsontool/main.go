// SPDX-License-Identifier: GPL-2.0-only

// Reads every .json file below a directory, writes each indented and compressed beside it (.json.gz),
// reads that again, and prints a line with sizes and a digest for each, and one for all.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var word = regexp.MustCompile(`[A-Za-z_]+[0-9]*`)

func count(value any, kinds map[string]int) {
	kinds[fmt.Sprintf("%T", value)]++
	switch value := value.(type) {
	case map[string]any:
		for _, member := range value {
			count(member, kinds)
		}
	case []any:
		for _, member := range value {
			count(member, kinds)
		}
	case string:
		kinds["word"] += len(word.FindAllString(value, -1))
	}
}

func convert(path string, kinds map[string]int) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return 0, err
	}
	count(value, kinds)
	indented, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return 0, err
	}
	var compressed bytes.Buffer
	writer, _ := gzip.NewWriterLevel(&compressed, gzip.BestCompression)
	if _, err := writer.Write(indented); err != nil {
		return 0, err
	}
	if err := writer.Close(); err != nil {
		return 0, err
	}
	if err := os.WriteFile(path+".gz", compressed.Bytes(), 0o644); err != nil {
		return 0, err
	}
	file, err := os.Open(path + ".gz")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		return 0, err
	}
	again, err := io.ReadAll(reader)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(again, indented) {
		return 0, fmt.Errorf("%s: not what was written", path)
	}
	fmt.Printf("%s %d %d %d %x\n", path, len(text), len(indented), compressed.Len(), sha256.Sum256(again))
	return len(text), nil
}

func main() {
	kinds := map[string]int{}
	files, size := 0, 0
	err := filepath.WalkDir(os.Args[1], func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".json") {
			return err
		}
		n, err := convert(path, kinds)
		files++
		size += n
		return err
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "jsontool:", err)
		os.Exit(1)
	}
	// Maps are printed in the order of their keys.
	fmt.Println(files, "files,", size, "bytes,", kinds)
}
