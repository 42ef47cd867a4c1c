package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxNamed bounds a query or a payload in a file of its own, in bytes.
const maxNamed = 1 << 20

// readFile reads a file that the alert file names at a place.
func (p *parser) readFile(n *yaml.Node, path, name string) ([]byte, bool) {
	if p.o.Alone {
		p.wrong(n, path, "names another file, and this one stands alone; write the text here, or let `sqlsentinel apply` do it")
		return nil, false
	}
	file, data, err := readNamed(p.out.Dir, name)
	if err != nil {
		p.wrong(n, path, "the file cannot be read: %s", reasonOf(err))
		return nil, false
	}
	p.out.Reads = append(p.out.Reads, file)
	return data, true
}

// readNamed reads a file whose name is relative to a folder. What never ends, or waits for a
// writer, is not opened.
func readNamed(dir, name string) (path string, data []byte, err error) {
	if path = name; !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return path, nil, err
	}
	switch {
	case info.IsDir():
		err = fmt.Errorf("read %s: it is a folder", path)
	case !info.Mode().IsRegular():
		err = fmt.Errorf("read %s: it is a device or a pipe", path)
	case info.Size() > maxNamed:
		err = fmt.Errorf("read %s: it has %d bytes, and %d are allowed", path, info.Size(), maxNamed)
	default:
		data, err = os.ReadFile(path)
	}
	return path, data, err
}

// reasonOf is the cause of a file error without the path, which may hold what was expanded.
func reasonOf(err error) string {
	if _, cause, ok := strings.Cut(err.Error(), ": "); ok {
		return cause
	}
	return err.Error()
}
