package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Ready is what a long-running command says once it answers: the content of
// --ready-file, every key at every start. URLs have no trailing slash.
type Ready struct {
	PID          int                          `json:"pid"`
	URLs         map[string]string            `json:"urls"` // by endpoint
	CAFile       string                       `json:"ca_file"`
	User         string                       `json:"user"`
	PasswordFile string                       `json:"password_file"`
	Targets      map[string]map[string]string `json:"targets"` // by target and endpoint; empty for a simulator
}

// write puts r at path as a whole.
func (r Ready) write(path string) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	return nil
}

// announce writes r to the file, where there is one, and calls f.
func (r Ready) announce(file string, f func(Ready)) error {
	if file != "" {
		if err := r.write(file); err != nil {
			return err
		}
	}
	if f != nil {
		f(r)
	}
	return nil
}

// forgetReady removes the file: before a start, so that whoever waits for it does
// not take an earlier run's for ours, and at the end, when it is no longer true.
func forgetReady(file string) error {
	if file == "" {
		return nil
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the ready file: %w", err)
	}
	return nil
}
