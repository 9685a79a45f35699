package lease_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/postern/postern/auth"
)

// What the scripted device does with a request, and what a store does with a
// step. The empty answer is the good one.
const (
	nothing   = "nothing" // the request is lost on its way
	cut       = "cut"     // it acts, and the answer is lost
	late      = "late"    // it acts a minute after the connection was lost
	refused   = "401"     // it says no, whatever is right
	deaf      = "401..."  // the same, and to every token until the run ends
	badly     = "400"
	broken    = "500"   // it does nothing and says so
	overtaken = "500+"  // it acts and says that it failed
	full      = "503"   // no session to give
	reset     = "reset" // it restarts: all sessions are gone, no answer
	gone      = "gone"  // nothing reaches it for the rest of the run
	fails     = "fail"  // the store cannot commit
)

// answersTo lists what may happen instead of the good answer.
var answersTo = map[string][]string{
	"login":  {nothing, cut, late, refused, badly, broken, overtaken, full, reset, gone},
	"logout": {nothing, cut, refused, deaf, broken, overtaken, reset, gone},
	"end":    {nothing, cut, refused, deaf, broken, overtaken, reset, gone},
	"touch":  {nothing, refused, deaf, broken, reset, gone},
	"list":   {nothing, refused, deaf, broken, reset, gone},
	"idle":   {nothing, refused, gone},
	"call":   {nothing, refused, deaf, reset, gone},
}

const (
	deviceIdle  = 30 * time.Minute
	ourAddress  = "10.0.0.1"
	ourAccount  = auth.AccountName("postern")
	lateBy      = time.Minute
	mostPeople  = 12
	deviceFirst = "first-secret" // the password that the device begins with
)

// A seat is a session at the device.
type seat struct {
	auth.Listed
	token string
	row   string // the lease that it was opened for; "" = a person's
	used  time.Time
}

// A judged login is one that the device has counted as good or failed.
type judged struct {
	at      time.Time
	secret  string
	refused bool
	hidden  bool // the process never came to know, or never kept it
	proven  bool // the secret was proven when the login left
	nonce   bool // refused because of the nonce
	forced  bool // a person spent the attempt
	traffic bool // a Basic call that was in flight
}

// machine is the part of a device that a crash of ours does not touch.
type machine struct {
	password string
	serial   int
	people   int
	seats    map[string]seat // by location
	coming   []seat          // sessions of logins that come late; created says when
	log      []judged
	issued   map[string]string // lease of each token that was ever given
	doubts   int               // leases whose token was refused at the logout, dead or not
	lies     int               // times that a living token of ours was said to be unknown
	left     map[string]bool   // audited steps that went out, by event and lease
	known    map[string]bool   // secrets whose acceptance came back and was committed in one way or another
	spoken   map[string]bool   // secrets that were refused to our face since
}

func newMachine() machine {
	return machine{password: deviceFirst, seats: map[string]seat{}, issued: map[string]string{}, left: map[string]bool{}, known: map[string]bool{}, spoken: map[string]bool{}}
}

func (m machine) clone() machine {
	m.seats, m.left, m.issued = maps.Clone(m.seats), maps.Clone(m.left), maps.Clone(m.issued)
	m.known, m.spoken = maps.Clone(m.known), maps.Clone(m.spoken)
	m.coming, m.log = slices.Clone(m.coming), slices.Clone(m.log)
	return m
}

// scripted is the device as one run sees it.
type scripted struct{ r *run }

func (d scripted) m() *machine { return &d.r.w.machine }

// pass lets time do its work at the device: late logins arrive, idle sessions go.
func (d scripted) pass() {
	m, now := d.m(), d.r.now()
	for len(m.coming) > 0 && !m.coming[0].Created.After(now) {
		s := m.coming[0]
		m.coming = m.coming[1:]
		d.seat(s)
	}
	for loc, s := range m.seats {
		if s.row != "" && now.Sub(s.used) > deviceIdle {
			delete(m.seats, loc)
		}
	}
}

// seat gives s the lowest free place.
func (d scripted) seat(s seat) seat {
	m := d.m()
	for n := 1; ; n++ {
		s.Location = fmt.Sprintf("/redfish/v1/SessionService/Sessions/%d", n)
		if _, taken := m.seats[s.Location]; !taken {
			s.ID = fmt.Sprint(n)
			break
		}
	}
	s.used = d.r.now()
	m.seats[s.Location] = s
	return s
}

// vacate removes a session. A person takes the place at once: devices reuse ids.
func (d scripted) vacate(loc string) {
	delete(d.m().seats, loc)
	d.person("")
}

func (d scripted) person(context string) {
	m := d.m()
	if m.people >= mostPeople {
		return
	}
	m.people++
	s := seat{Listed: auth.Listed{Account: "somebody", Source: "10.0.0.99", Context: context, Created: d.r.now()}, token: fmt.Sprintf("person-%d", m.people)}
	if d.r.p.exclusive && m.people%2 == 0 {
		s.Account = ourAccount // the same account from another address: not ours either
	}
	d.seat(s)
}

// restart loses all sessions; people come back first.
func (d scripted) restart() {
	m := d.m()
	lost := len(m.seats)
	clear(m.seats)
	m.coming = nil
	for range min(lost, 2) {
		d.person("")
	}
}

var errCut = errors.New("connection reset by peer")

// outside handles what is the same for every request: the device is away, the
// request is lost, or it restarts.
func (d scripted) outside(answer string) error {
	switch {
	case d.r.away:
		return errors.New("no route to host")
	case answer == gone:
		d.r.away = true
		return errors.New("no route to host")
	case answer == nothing:
		return errCut
	case answer == reset:
		d.restart()
		return errCut
	}
	return nil
}

// Login implements lease.Device.
func (d scripted) Login(_ context.Context, c auth.Credential, o auth.LoginOptions) (l auth.Login, err error) {
	id := rowOf(o.Nonce)
	answer, n, ok := d.r.enter("login", c.Password.Reveal())
	if !ok {
		return l, &auth.LoginError{Outcome: auth.NotJudged, Err: errDead}
	}
	d.r.loginLeaves(id)
	d.pass()
	if l, err = d.login(id, answer, c, o); err == nil {
		d.r.fresh = c.Password.Reveal()
	}
	d.r.leave(n, fmt.Sprint(cmp.Or(answer, "good"), ": ", errText(err)))
	return l, err
}

func (d scripted) login(id, answer string, c auth.Credential, o auth.LoginOptions) (auth.Login, error) {
	fail := func(outcome auth.Outcome, status int, sent bool) (auth.Login, error) {
		return auth.Login{}, &auth.LoginError{Outcome: outcome, Status: status, Sent: sent, Full: answer == full, Err: errors.New(cmp.Or(answer, "no"))}
	}
	if err := d.outside(answer); err != nil {
		if d.r.away {
			return fail(auth.NotJudged, 0, false)
		}
		return fail(auth.Unknown, 0, true)
	}
	m, secret := d.m(), c.Password.Reveal()
	j := judged{at: d.r.now(), secret: secret, proven: d.r.proven(secret), hidden: true, forced: d.r.forced}
	right := secret == m.password
	switch {
	case answer == broken, answer == full, answer == overtaken && !right:
		return fail(auth.NotJudged, 503, true)
	case d.r.p.noNonce && !o.NoNonce && answer == "":
		j.refused, j.nonce = true, true
		m.log = append(m.log, j)
		return auth.Login{}, &auth.LoginError{Outcome: auth.Refused, NonceFault: true, Status: 400, Sent: true, Err: errors.New("Context")}
	case answer == refused, answer == badly, !right:
		j.refused = true
		m.log = append(m.log, j)
		if answer == cut || answer == late {
			return fail(auth.Unknown, 0, true)
		}
		if secret == d.r.p.slowFor {
			time.Sleep(20 * time.Second)
			m.log[len(m.log)-1].at = d.r.now()
		}
		m.spoken[secret] = true
		return fail(auth.Refused, 401, true)
	}
	m.log = append(m.log, j)
	delete(m.spoken, secret)
	if d.r.p.basic {
		if answer != "" {
			return fail(auth.Unknown, 0, true)
		}
		return auth.Login{Method: auth.MethodBasic, Account: c.Account, Secret: c.Password}, nil
	}
	return d.open(id, answer, c, fail)
}

// open gives the session of a good login.
func (d scripted) open(id, answer string, c auth.Credential, fail func(auth.Outcome, int, bool) (auth.Login, error)) (auth.Login, error) {
	m := d.m()
	m.serial++
	s := seat{Listed: auth.Listed{Account: c.Account, Source: ourAddress, Created: d.r.now()}, token: fmt.Sprintf("token-%d", m.serial), row: id}
	m.issued[s.token] = id
	if d.r.p.keeps {
		s.Context = "postern:" + id
	}
	if answer == late {
		s.Created = s.Created.Add(lateBy)
		m.coming = append(m.coming, s)
		return fail(auth.Unknown, 0, true)
	}
	s = d.seat(s)
	if d.r.p.twins {
		d.person(s.Context)
	}
	switch answer {
	case cut:
		return fail(auth.Unknown, 0, true)
	case overtaken:
		return fail(auth.NotJudged, 500, true)
	}
	l := auth.Login{Method: auth.MethodSession, Account: c.Account, Secret: auth.NewSecret(s.token), Location: s.Location, ID: s.ID,
		DeviceDate: d.r.now(), KeepsNonce: d.r.p.keeps}
	if d.r.p.tellsIdle {
		l.Idle = deviceIdle
	}
	if d.r.p.mute {
		l.Location, l.ID = "", ""
	}
	return l, nil
}

// ask is every request but a login: what the device is asked with l.
func (d scripted) ask(op string, l auth.Login, detail string, act func(own *seat) error) error {
	answer, n, ok := d.r.enter(op, detail)
	if !ok {
		return errDead
	}
	d.pass()
	d.r.tokenLeaves(op, l)
	err := d.answer(answer, l, act)
	d.r.leave(n, fmt.Sprint(cmp.Or(answer, "good"), ": ", errText(err)))
	return err
}

func (d scripted) answer(answer string, l auth.Login, act func(own *seat) error) error {
	if err := d.outside(answer); err != nil {
		return err
	}
	if answer == broken {
		return errors.New("status 500")
	}
	own := d.own(l)
	d.r.deaf = d.r.deaf || answer == deaf
	lies := answer == refused || d.r.deaf && l.Method != auth.MethodBasic
	if lies && own != nil {
		d.m().lies++
	}
	if lies || own == nil {
		if l.Method == auth.MethodBasic {
			d.m().log = append(d.m().log, judged{at: d.r.now(), secret: l.Secret.Reveal(), refused: true, traffic: true, proven: true, hidden: true})
			d.m().spoken[l.Secret.Reveal()] = true
		}
		return auth.ErrNoSession
	}
	if own.Location != "" {
		s := d.m().seats[own.Location]
		s.used = d.r.now()
		d.m().seats[own.Location] = s
	}
	err := act(own)
	switch answer {
	case cut:
		return errCut
	case overtaken:
		return errors.New("status 500")
	}
	return err
}

// own returns the session of l, an empty one for a good Basic password.
func (d scripted) own(l auth.Login) *seat {
	if l.Method == auth.MethodBasic {
		if l.Secret.Reveal() == d.m().password {
			return &seat{}
		}
		return nil
	}
	for _, s := range d.m().seats {
		if s.token == l.Secret.Reveal() {
			return &s
		}
	}
	return nil
}

// Touch implements lease.Device.
func (d scripted) Touch(_ context.Context, l auth.Login) error {
	return d.ask("touch", l, l.Location, func(*seat) error { return nil })
}

// Logout implements lease.Device.
func (d scripted) Logout(_ context.Context, l auth.Login) error {
	if l.Location == "" {
		return errors.New("the device never told where it is")
	}
	return d.ask("logout", l, l.Location, func(own *seat) error { return d.delete(l.Location) })
}

// End implements lease.Device.
func (d scripted) End(_ context.Context, l auth.Login, location string) error {
	return d.ask("end", l, location, func(*seat) error { return d.delete(location) })
}

func (d scripted) delete(loc string) error {
	s, ok := d.m().seats[loc]
	if !ok {
		return nil
	}
	if s.row == "" && !d.twin(s) {
		d.r.broke("the session of a person was ended: %s", loc)
	}
	d.vacate(loc)
	return nil
}

// twin reports whether s is all that is left with the nonce of a lease of ours:
// nobody can tell then that it is a person's.
func (d scripted) twin(s seat) bool {
	n := 0
	for _, o := range d.m().seats {
		if o.Context == s.Context {
			n++
		}
	}
	return s.Context != "" && n == 1
}

// List implements lease.Device.
func (d scripted) List(_ context.Context, l auth.Login) (all []auth.Listed, err error) {
	err = d.ask("list", l, "", func(*seat) error {
		if !d.r.p.lists {
			return errors.New("status 404")
		}
		for _, s := range d.m().seats {
			all = append(all, s.Listed)
		}
		slices.SortFunc(all, func(a, b auth.Listed) int { return cmp.Compare(a.Location, b.Location) })
		if d.r.p.twins {
			slices.Reverse(all) // the person's comes first
		}
		return nil
	})
	return all, err
}

// Idle implements lease.Device.
func (d scripted) Idle(_ context.Context, l auth.Login) (idle time.Duration, err error) {
	err = d.ask("idle", l, "", func(*seat) error { idle = deviceIdle; return nil })
	return idle, err
}

// call is a caller's request.
func (d scripted) call(l auth.Login) error {
	return d.ask("call", l, "", func(*seat) error { return nil })
}

func errText(err error) string {
	if err == nil {
		return "ok"
	}
	return err.Error()
}
