package cli

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/sim"
)

func (a *app) simCommand() *cobra.Command {
	cmd := a.group("sim", "Serve a simulated device", "")
	for _, k := range simKinds {
		cmd.AddCommand(a.simKind(k))
	}
	return cmd
}

// A simKind is one kind of simulated device.
type simKind struct {
	name, short, what string
	profiles          []string // of package redfish, the default first
}

// simKinds is the whole list.
var simKinds = []simKind{
	{"redfish", "Serve a simulated Redfish BMC", "Redfish BMC", []string{"generic"}},
	{"ilo", "Serve a simulated HPE iLO", "HPE iLO", []string{"ilo", "ilo5", "ilo7"}},
	{"rmc", "Serve a simulated Superdome Flex RMC", "rack management controller of an HPE Superdome Flex", []string{"rmc"}},
}

// simFlags are those that need more than a look.
type simFlags struct {
	user      string
	secret    secretFlags
	mustReset bool
	clientCAs []string
	idle      time.Duration
	latency   string
	lockout   string
	clock     string
	faults    []string
	journal   string
	mockup    string
	listen    string
	readyFile string
	name      string
	slots     int

	kind     simKind
	profile  string
	settings []string
	licence  string

	directoryCAs, mailCAs []string
}

func (a *app) simKind(kind simKind) *cobra.Command {
	f := simFlags{kind: kind}
	cmd := &cobra.Command{
		Use: kind.name, Short: kind.short, Args: exactly(),
		Long: "Serve a simulated " + kind.what + " on a loopback port, until SIGTERM. Without --data its state\n" +
			"is in a temporary folder and goes with it.\n\nFaults:\n" + faultHelp(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if slices.Contains(f.faults, "help") {
				fmt.Fprint(a.stdout, faultHelp())
				return nil
			}
			cfg, err := a.simConfig(cmd.Context(), f)
			if err != nil {
				return err
			}
			if f.journal != "" {
				j, err := os.OpenFile(f.journal, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
				if err != nil {
					return usage("", "open the journal: %w", err)
				}
				defer j.Close()
				cfg.Device.Journal = j
			}
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return serveFault(serve.RunSim(ctx, cfg))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.listen, "listen", "", "`ADDRESS` to listen on, HOST or HOST:PORT (default 127.0.0.1 and a free port)")
	flags.StringVar(&f.readyFile, "ready-file", "", "`FILE` to write once the device answers")
	flags.StringVar(&f.user, "user", "admin", "`NAME` of the device's Administrator")
	f.secret.add(cmd)
	flags.BoolVar(&f.mustReset, "must-change-password", false, "the password must be changed before it is good for anything else")
	flags.StringArrayVar(&f.clientCAs, "client-ca", nil, "let in clients with certificates of the CA in `FILE`, as the account that their CN names; may be repeated")
	flags.StringVar(&f.name, "name", sim.DefaultName, "host `NAME` of the device; its serial number is made from it")
	flags.IntVar(&f.slots, "slots", sim.DefaultSlots, "`N` sessions may live at once; -1: no limit")
	flags.DurationVar(&f.idle, "idle", sim.DefaultIdle, "idle timeout of a session")
	flags.StringVar(&f.latency, "latency", "", "how long answers take: `TIME`, root=..,login=..,logout=..,other=.. or slow")
	flags.StringVar(&f.lockout, "lockout", "", "`N[,DURATION]`: so many wrong passwords in a row lock an account")
	flags.StringVar(&f.clock, "clock", "", "`TIME` that the device's clock starts at, as 2031-01-02T15:04:05Z, or how much it is fast, as 36h or -5m")
	flags.StringArrayVar(&f.faults, "fault", nil, "misbehave: `NAME[=VALUE]`, may be repeated; help lists them")
	flags.StringVar(&f.journal, "journal", "", "`FILE` to append what the device sees to, one JSON line each")
	kind.flags(cmd, &f)
	complete(cmd, "latency", "slow")
	complete(cmd, "fault", faultNames()...)
	return cmd
}

// flags are those that not all kinds have.
func (k simKind) flags(cmd *cobra.Command, f *simFlags) {
	flags := cmd.Flags()
	if k.name == "redfish" {
		flags.StringVar(&f.mockup, "mockup", "", "serve the DMTF mockup in `DIR` instead of the built-in tree")
		return
	}
	flags.StringArrayVar(&f.settings, "set", nil, "`NAME=VALUE` of the profile: location=absolute|relative, slash=never|always|as-asked, old-headers=on|off, none-port=on|off; may be repeated")
	if k.name == "ilo" {
		flags.StringVar(&f.profile, "generation", k.profiles[0], "`KIND` of iLO: ilo (6), ilo5 or ilo7")
		flags.StringVar(&f.licence, "licence", "advanced", "`KIND` of licence that is installed: advanced or none")
		flags.StringArrayVar(&f.directoryCAs, "directory-ca", nil, "CA in `FILE` that the LDAP servers' certificates are from; may be repeated (default the system's)")
		flags.StringArrayVar(&f.mailCAs, "mail-ca", nil, "CA in `FILE` that the mail server's certificate is from, which must offer STARTTLS then; may be repeated")
		complete(cmd, "generation", k.profiles...)
		complete(cmd, "licence", "advanced", "none")
	}
}

// flavour sets what the kind of device is.
func (f simFlags) flavour(cfg *serve.SimConfig) error {
	name := f.profile
	if name == "" {
		name = f.kind.profiles[0]
	}
	if !slices.Contains(f.kind.profiles, name) {
		return usage("one of "+strings.Join(f.kind.profiles, ", "), "--generation %q is no kind of iLO", name)
	}
	if f.kind.name == "ilo" && f.licence != "advanced" && f.licence != "none" {
		return usage("advanced or none", "--licence %q is no kind of licence", f.licence)
	}
	cfg.Profile, cfg.Settings, cfg.Device.NoLicence = name, f.settings, f.licence == "none"
	return nil
}

func (a *app) simConfig(ctx context.Context, f simFlags) (serve.SimConfig, error) {
	log, err := newLogger(a.stderr, a.logLevel, a.logFormat)
	if err != nil {
		return serve.SimConfig{}, err
	}
	if f.listen != "" {
		if _, _, err := config.SplitAddress(f.listen); err != nil {
			return serve.SimConfig{}, usage("HOST or HOST:PORT", "--listen: %w", err)
		}
	}
	cfg := serve.SimConfig{Data: a.data, Listen: f.listen, ReadyFile: f.readyFile, Log: log, Ready: a.ready}
	d := &cfg.Device
	*d = sim.Config{User: auth.AccountName(f.user), Name: f.name, MustChangePassword: f.mustReset, Slots: f.slots, Idle: f.idle, Faults: f.faults, Log: log}
	if err := f.flavour(&cfg); err != nil {
		return cfg, err
	}
	if d.ClockOffset, err = parseClock(f.clock, time.Now()); err != nil {
		return cfg, err
	}
	if d.ClientCAs, err = readCAs("client-ca", f.clientCAs); err != nil {
		return cfg, err
	}
	if d.DirectoryRoots, err = readRoots("directory-ca", f.directoryCAs); err != nil {
		return cfg, err
	}
	if d.MailRoots, err = readRoots("mail-ca", f.mailCAs); err != nil {
		return cfg, err
	}
	if d.Latency, err = sim.ParseLatency(f.latency); err != nil {
		return cfg, usage("for instance 0.1s, root=0.72s,login=1s or slow", "%w", err)
	}
	if d.Lockout, d.LockoutFor, err = parseLockout(f.lockout); err != nil {
		return cfg, err
	}
	if err := sim.CheckFaults(f.faults); err != nil {
		return cfg, usage("postern sim "+f.kind.name+" --fault help lists them", "%w", err)
	}
	if f.idle <= 0 {
		return cfg, usage("for instance 30m", "--idle %v is not a time to wait", f.idle)
	}
	if f.mockup != "" {
		if d.Tree, err = sim.ReadMockup(f.mockup); err != nil {
			return cfg, usage("name the folder that holds redfish/v1 or index.json", "%w", err)
		}
	}
	if !f.secret.given() {
		return cfg, nil
	}
	if d.Password, err = a.readSecret(ctx, f.secret, "device password", false); err != nil {
		return cfg, err
	}
	if f.secret.file != "" && f.secret.file != "-" {
		cfg.PasswordFile, err = filepath.Abs(f.secret.file)
	}
	return cfg, err
}

// parseClock reads how much a clock is fast at now: a duration, or a time.
func parseClock(s string, now time.Time) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return d, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return 0, usage("for instance 36h, -5m or 2031-01-02T15:04:05Z", "--clock %q is neither a duration nor a time", s)
	}
	return t.Sub(now), nil
}

// readRoots reads CAs that servers are verified with; nil for no files.
func readRoots(flag string, files []string) (*x509.CertPool, error) {
	texts, err := readCAs(flag, files)
	if err != nil || len(texts) == 0 {
		return nil, err
	}
	pool := x509.NewCertPool()
	for i, text := range texts {
		if !pool.AppendCertsFromPEM([]byte(text)) {
			return nil, usage("a certificate in PEM", "--%s: there is none in %s", flag, files[i])
		}
	}
	return pool, nil
}

// maxCAFile bounds a file with a CA, in bytes; a certificate has about 2,000.
const maxCAFile = 64 << 10

func readCAs(flag string, files []string) (texts []string, err error) {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("", "--%s: %w", flag, err)
		}
		text, err := io.ReadAll(io.LimitReader(f, maxCAFile+1))
		f.Close()
		if err == nil && len(text) > maxCAFile {
			err = fmt.Errorf("%s has more than %d bytes", name, maxCAFile)
		}
		if err != nil {
			return nil, usage("", "--%s: %w", flag, err)
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

// parseLockout reads N or N,DURATION.
func parseLockout(s string) (n int, window time.Duration, err error) {
	if s == "" {
		return 0, 0, nil
	}
	count, duration, long := strings.Cut(s, ",")
	n, err = strconv.Atoi(count)
	if err == nil && long {
		window, err = time.ParseDuration(duration)
	}
	if err != nil || n < 1 || window < 0 || long && window == 0 {
		return 0, 0, usage("for instance 3 or 3,30m", "--lockout %q is not N or N,DURATION", s)
	}
	return n, window, nil
}

func faultNames() []string {
	var names []string
	for _, f := range sim.Faults() {
		names = append(names, f.Name)
	}
	return names
}

func faultHelp() string {
	var b strings.Builder
	for _, f := range sim.Faults() {
		name := f.Name
		switch {
		case strings.HasPrefix(f.Value, "["):
			name += "[=" + f.Value[1:]
		case f.Value != "":
			name += "=" + f.Value
		}
		fmt.Fprintf(&b, "  %-30s %s\n", name, f.Text)
	}
	return b.String()
}
