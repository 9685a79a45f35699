package lease_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
)

func rowOf(nonce string) string { return strings.TrimPrefix(nonce, "postern:") }

// What is on stable storage is read past the process, not through it.

// ask1 reads one value from the database file.
func (r *run) ask1(dst any, query string, args ...any) {
	st := r.asked[query]
	if st == nil {
		var err error
		if st, err = r.peek.Prepare(query); err != nil {
			r.broke("the database cannot be read: %v", err)
			return
		}
		r.asked[query] = st
	}
	if err := st.QueryRow(args...).Scan(dst); err != nil {
		r.broke("the database cannot be read: %v", err)
	}
}

// look reads the leases that are not ended, as "id state reason" lines.
func (r *run) look() {
	var all string
	r.ask1(&all, `select coalesce(group_concat(id || ' ' || state || ' ' || reason, char(10)), '') from lease where state <> 'ended'`)
	clear(r.rows)
	for line := range strings.Lines(all) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		state, reason, _ := strings.Cut(rest, " ")
		r.rows[id] = rowState{lease.State(state), reason}
	}
}

type rowState struct {
	state  lease.State
	reason string
}

// state is that of a row, "" where it is ended or not there.
func (r *run) state(id string) lease.State { return r.rows[id].state }

// proven reports whether the secret is proven, by any key: a run has one account.
func (r *run) proven(secret string) (proven bool) {
	key, err := r.secretKey(secret)
	if err != nil {
		r.broke("%v", err)
	}
	r.ask1(&proven, `select coalesce((select proven from login_secret where secret_hash = ?), 0)`, key)
	return proven
}

// open returns the audited logins and logouts on disk that have no end, as "event ref".
func (r *run) open() map[string]bool {
	open := map[string]bool{}
	for rec, err := range audit.Read(filepath.Join(r.dir, "audit"), audit.Filter{Event: "lease."}) {
		if err != nil {
			r.broke("the audit cannot be read: %v", err)
			break
		}
		if begin, ended := strings.CutSuffix(rec.Event, ".end"); ended {
			k := begin + " " + rec.Ref
			if rec.Outcome == audit.OutcomeNotDone && r.w.left[k] {
				r.broke("promise 3: the audit says of %s that it was not done, and it went out", begin)
			}
			delete(open, k)
		} else if rec.Event == audit.LeaseLogin || rec.Event == audit.LeaseLogout {
			open[rec.Event+" "+rec.Ref] = true
		}
	}
	return open
}

// leaves checks that an audited step is on record before it goes out.
func (r *run) leaves(event, id string) {
	k := event + " " + id
	if !r.open()[k] {
		r.broke("promise 3: a %s leaves that is not on record", strings.TrimPrefix(event, "lease."))
	}
	r.w.left[k] = true
}

// loginLeaves checks what must be committed before a login goes out.
func (r *run) loginLeaves(id string) {
	r.loud()
	r.leaves(audit.LeaseLogin, id)
	if s := r.state(id); s != lease.Intent && !r.p.basic {
		r.broke("promise 1: a login leaves while its row is %q", s)
	}
	var pending int
	r.ask1(&pending, `select count(*) from login_attempt where outcome = 'pending' and epoch = ?`, r.store.Epoch())
	if pending == 0 {
		r.broke("promise 2: a login leaves that is not reserved")
	}
}

// tokenLeaves checks what must be committed before a token goes out.
func (r *run) tokenLeaves(op string, l auth.Login) {
	r.loud()
	if l.Method == auth.MethodBasic {
		if op == "end" {
			r.endLeaves()
		}
		return
	}
	id := r.w.issued[l.Secret.Reveal()]
	s := r.state(id)
	switch {
	case op == "logout":
		r.leaves(audit.LeaseLogout, id)
		if s != lease.Ending {
			r.broke("promise 1: a logout leaves while its row is %q", s)
		}
	case op == "end":
		r.endLeaves()
	case s == lease.Intent:
		r.broke("promise 1: a token is used (%s) that is not committed", op)
	}
}

// endLeaves checks that the end of another session is announced.
func (r *run) endLeaves() {
	open, announced := r.open(), false
	for id, row := range r.rows {
		if k := audit.LeaseLogout + " " + id; row.state == lease.Ending && open[k] {
			announced = true
			r.w.left[k] = true
		}
	}
	if !announced {
		r.broke("promise 3: the end of a session leaves that is not committed and on record")
	}
}

// loud checks that nothing is sent where nothing may be.
func (r *run) loud() {
	if r.quiet {
		r.broke("promise 1: the start calls the device")
	}
}

// invariants hold at every boundary, whatever has happened.
func (r *run) invariants() {
	ours, named := 0, map[string]bool{}
	var strays []string
	for _, s := range append(r.seats(), r.w.coming...) {
		switch {
		case s.row == "":
			continue
		case r.state(s.row) == "":
			strays = append(strays, s.Location)
		}
		ours++
		named[s.row] = true
	}
	spare := 0 // leases with nothing at the device
	for id := range r.rows {
		if !named[id] {
			spare++
		}
	}
	// Of two lost logins at a device without nonces nobody knows which is which.
	if n := len(strays); n > 0 && (n > spare || !r.p.exclusive) {
		r.broke("promise 1: an orphan: the device holds %v, and no lease says so", strays)
	}
	if most := r.p.budget + 1 + r.w.lies; ours > most {
		r.broke("promise 1: %d sessions at the device, the budget and one above it are %d", ours, most)
	}
	if most := r.p.budget + 1 + r.w.doubts; len(r.rows) > most && !r.p.basic {
		r.broke("promise 1: %d leases are not ended, the budget and one above it are %d", len(r.rows), most)
	}
	r.refusals()
}

func (r *run) seats() (all []seat) {
	for _, s := range r.w.seats {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b seat) int { return strings.Compare(a.Location, b.Location) })
	return all
}

// refusals checks promise 2 against the device's own book. The additions are
// those that are told openly: a refusal that a crash or a cut hid while the
// secret was proven, attempts that a person spent, and Basic calls in flight.
func (r *run) refusals() {
	const window = 30 * time.Minute
	perWindow := 2
	if r.p.threshold > 0 {
		perWindow = min(2, r.p.threshold-1)
	}
	bySecret := map[string]int{}
	for i, j := range r.w.log {
		switch {
		case !j.refused:
			bySecret[j.secret] = 0
			continue
		case j.open():
			continue
		case !j.nonce:
			bySecret[j.secret]++
		}
		if n := bySecret[j.secret]; n > 2 {
			r.broke("promise 2: %d refused logins with one secret", n)
		}
		inWindow := 0
		for _, k := range r.w.log[:i+1] {
			if k.refused && !k.open() && j.at.Sub(k.at) < window {
				inWindow++
			}
		}
		if inWindow > perWindow {
			r.broke("promise 2: %d refused logins within %v", inWindow, window)
		}
	}
}

// open reports whether the refusal is one of the additions.
func (j judged) open() bool { return j.forced || j.traffic || j.hidden && j.proven }

// loaded is checked right after the start.
func (r *run) loaded() {
	for k := range r.open() {
		r.broke("promise 3: the start leaves %s open", strings.Fields(k)[0])
	}
}

// good reports whether the stored password must work: it is right, its
// acceptance was kept once, and the device has not refused it to our face since.
func (r *run) good() bool {
	return !r.w.removed && r.w.secret == r.w.password && r.w.known[r.w.secret] && !r.w.spoken[r.w.secret]
}

// served is a caller who has to be served if the password is good.
func (r *run) served(when string) (served bool) {
	r.do("call")
	r.m.Settle()
	var b *lease.Blocked
	if r.good() && errors.As(r.err, &b) {
		r.broke("promise 2: a good password is blocked %s: %v", when, r.err)
	}
	return r.err == nil
}

// ours returns the sessions at the device that are ours, but for those of held rows.
func (r *run) strays() (all []string) {
	for _, s := range r.seats() {
		if s.row != "" && r.state(s.row) != lease.Held {
			all = append(all, s.Location)
		}
	}
	return all
}

// promises is the end of a path: the device is well again and time goes by.
func (r *run) promises() {
	served := r.served("after the crash")
	for range 2 {
		time.Sleep(130 * time.Second)
		r.m.SweepOnce(r.ctx)
		r.m.Settle()
		served = r.served("after the crash") || served
	}
	// Without nonces a lost session can have the id of an owed lease, which stands
	// for it then until the device's timeout.
	if r.p.tellable() && served && (r.p.keeps || r.w.doubts < 2) {
		if left := r.strays(); len(left) > 0 {
			r.broke("promise 1: the device is reachable and lists its sessions, and of ours there are left: %v", left)
		}
	}
	for range 2 { // twice as long as any session lives
		r.pass(27 * time.Hour)
	}
	if left := r.owed(); len(left) > 0 {
		r.broke("promise 1: owed after two days: %v", left)
	}
	if !r.served("after two days") && r.good() {
		r.broke("no login with a good password after two days: %v", r.err)
	}
	r.pass(31 * time.Minute) // a refused password has its second try, and no third
	r.do("call")
	r.pass(31 * time.Minute)
	r.do("call")
	r.m.SweepOnce(r.ctx)
	r.end()
}

// pass lets so much time go by, with what Run does in it.
func (r *run) pass(d time.Duration) {
	const unused = 21 * time.Minute // long enough for our logout, too short for the device's expiry
	for _, d := range []time.Duration{unused, d - unused} {
		time.Sleep(d)
		r.device.pass()
		r.m.HousekeepOnce(r.ctx)
		r.m.Settle()
	}
	for range 2 {
		r.m.SweepOnce(r.ctx)
		r.m.Settle()
	}
}

func (r *run) owed() (all []string) {
	for _, row := range r.rows {
		if row.state != lease.Held {
			all = append(all, fmt.Sprintf("%s (%s)", row.state, row.reason))
		}
	}
	slices.Sort(all)
	return all
}

// end is the orderly stop, and what must be true after it.
func (r *run) end() {
	r.do("shutdown")
	r.m.Settle()
	r.device.pass()
	for _, s := range r.seats() {
		if s.row != "" && !r.p.mute { // a session that has no name is found by the next start
			r.broke("promise 1: after the shutdown the device still holds %s", s.Location)
		}
	}
	if len(r.rows) > 0 && r.p.tellable() && !r.p.mute {
		r.broke("promise 1: after the shutdown %d leases are not ended", len(r.rows))
	}
	if err := r.log.Close(); err != nil {
		r.broke("promise 3: %v", err)
	}
	for k := range r.open() {
		r.broke("promise 3: the shutdown leaves %s open", strings.Fields(k)[0])
	}
	rep, err := audit.Verify(filepath.Join(r.dir, "audit"), auditKey)
	if err != nil || rep.Bad != nil {
		r.broke("promise 3: the audit does not verify: %v %v", rep.Bad, err)
	}
}
