package serve

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
)

// ErrConfig is in every error of a configuration that contradicts itself, or
// the state it meets.
var ErrConfig = errors.New("the configuration is wrong")

// A configError is an ErrConfig in its own words.
type configError struct{ error }

func (configError) Is(target error) bool { return target == ErrConfig }

func (e configError) Unwrap() error { return e.error }

// A place is where a target is reached.
type place struct {
	host string
	port int // 0 = the one used before, else a free one
}

const loopback = "127.0.0.1"

// placeOf finds the listener of a target: its own address, else the listener
// that names it, else the listener for all, else loopback.
func placeOf(t target.Target, listeners []config.Listener) (place, error) {
	if t.Address != "" {
		host, port, err := config.SplitAddress(t.Address)
		if err != nil {
			return place{}, configError{fmt.Errorf("target %s: %w", t.Name, err)}
		}
		return place{host, port}, nil
	}
	l := listenerOf(t, listeners)
	return place{l.Host, l.Port}, nil
}

// listenerOf is the listener that the configuration has for a target: the one
// that names it, else the one for all, else loopback.
func listenerOf(t target.Target, listeners []config.Listener) config.Listener {
	found := config.Listener{Host: loopback}
	for _, l := range listeners {
		switch {
		case slices.Contains(l.Targets, t.Name):
			return l
		case l.All:
			found = l
		}
	}
	return found
}

// places finds the listeners of all targets and refuses two behind one port.
func places(targets []target.Target, listeners []config.Listener) (map[string]place, error) {
	all := map[string]place{}
	taken := map[place]string{}
	for _, t := range targets {
		p, err := placeOf(t, listeners)
		if err != nil {
			return nil, err
		}
		if other, ok := taken[p]; ok && p.port != 0 {
			return nil, configError{fmt.Errorf("targets %s and %s are both to be behind port %d: several targets behind one port are not served, give each its own",
				other, t.Name, p.port)}
		}
		taken[p] = t.Name
		all[t.Name] = p
	}
	return all, nil
}

// certificateNames are what the listeners add to the server certificate.
func certificateNames(listeners []config.Listener, places map[string]place) []string {
	var names []string
	for _, l := range listeners {
		names = append(names, l.Names...)
	}
	for _, p := range places {
		names = append(names, hostNames(p.host)...)
	}
	return names
}

// FromConfig makes targets of what a configuration file says.
func FromConfig(list []config.Target) []target.Target {
	var out []target.Target
	for _, t := range list {
		out = append(out, target.Target{
			Name: t.Name, Family: t.Family, Profile: t.Profile, URL: t.URL, CAPEM: t.CAPEM, Pin: t.Pin,
			Account: accountName(t.User), Certificate: t.Certificate, Source: t.Source, Method: method(t.Auth),
			Budget: t.Budget, InFlight: t.InFlight, Exclusive: t.Exclusive,
			LockoutThreshold: t.LockoutThreshold, LockoutWindow: t.LockoutWindow,
		})
	}
	return out
}

// CheckTarget finds out whether this build could serve t.
func CheckTarget(t target.Target) error {
	f, err := findFamily(t.Family)
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(t.Profile, ",")
	if t.Profile != "" && !slices.Contains(f.profiles, name) {
		return fmt.Errorf("unknown profile %q of family %s: there are %s", name, t.Family, strings.Join(f.profiles, ", "))
	}
	if err := f.checkProfile(t.Profile); err != nil {
		return err
	}
	return target.Validate(t)
}

// StoredPin is the pin that an earlier run kept for the target name at url; ""
// where there is none.
func StoredPin(ctx context.Context, data, name, url string) string {
	st, err := store.Open(ctx, filepath.Join(data, storeFile), store.Options{ReadOnly: true})
	if err != nil {
		return ""
	}
	defer st.Close()
	t, err := st.Target(ctx, name)
	if err != nil || t.URL != url {
		return ""
	}
	return t.Pin
}
