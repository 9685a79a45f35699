package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"strconv"
	"sync"
)

// ports remembers which port each name was given, so that a listener without a
// port of its own is found again at the same place after a restart.
type ports struct {
	path string
	mu   sync.Mutex // guards used and the file
	used map[string]int
}

func openPorts(dir *Dir) (*ports, error) {
	p := &ports{path: dir.Path("ports.json"), used: map[string]int{}}
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &p.used)
	}
	if err != nil {
		return nil, fmt.Errorf("read the ports in use (%s): %w", p.path, err)
	}
	return p, nil
}

// listen opens host:port for name. With port 0 it takes the port that name had
// before; where that is taken, or at the first time, a free one.
func (p *ports) listen(name, host string, port int) (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if port == 0 {
		if before := p.used[name]; before > 0 && before < 1<<16 {
			if ln, err := listenTCP(host, before); err == nil {
				return ln, nil
			}
		}
	}
	ln, err := listenTCP(host, port)
	if err != nil {
		return nil, err
	}
	got := ln.Addr().(*net.TCPAddr).Port
	if p.used[name] == got {
		return ln, nil
	}
	used := maps.Clone(p.used)
	used[name] = got
	if err := p.save(used); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// forget drops the port of a target that is gone.
func (p *ports) forget(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.used[name]; !ok {
		return nil
	}
	used := maps.Clone(p.used)
	delete(used, name)
	return p.save(used)
}

func (p *ports) save(used map[string]int) error {
	data, err := json.MarshalIndent(used, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFile(p.path, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember the ports in use: %w", err)
	}
	p.used = used
	return nil
}

func listenTCP(host string, port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
}
