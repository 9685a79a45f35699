package lease_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/seal"
)

// secretKey is the hash under which the store counts a secret.
func (r *run) secretKey(secret string) ([]byte, error) {
	k, err := seal.New(auth.NewSecret(strings.Repeat("s", 32)))
	if err != nil {
		return nil, err
	}
	h := k.Hash("device password", "https://bmc1", string(ourAccount), secret)
	return h[:], nil
}

// key tells worlds apart whose future may differ: two with the same key behave
// the same. Ids are named by their order, times by their age.
func (r *run) key() string {
	var b strings.Builder
	now := r.now()
	age := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return now.Sub(t).Round(time.Second).String()
	}
	names := map[string]string{"": ""}
	rows, err := r.store.OpenLeases(r.ctx)
	if err != nil {
		r.broke("%v", err)
	}
	for i, row := range rows {
		names[row.ID] = fmt.Sprintf("L%d", i)
		fmt.Fprintln(&b, names[row.ID], row.State, row.Reason, row.Location, row.TokenSealed != nil, row.Idle, row.Pin, age(row.Updated), age(row.LastUsed), age(row.Created))
	}
	f, _ := r.store.Facts(r.ctx, "https://bmc1")
	fmt.Fprintln(&b, f, r.w.secret, r.w.password, r.w.removed, r.w.pin, r.w.people, min(r.w.lies, 3), min(r.w.doubts, 3))
	for _, q := range []string{
		`select hex(secret_hash), proven, refused, case refused_at when 0 then 0 else (?1 - refused_at) / 1000000000 end, unknown, '' from login_secret order by 1`,
		`select hex(secret_hash), counts, 0, (?1 - reserved_at) / 1000000000, case settled_at when 0 then 0 else (?1 - settled_at) / 1000000000 end, outcome from login_attempt where counts = 1 or outcome = 'pending' order by reserved_at`,
	} {
		all, err := r.peek.Query(q, now.UnixNano())
		if err != nil {
			r.broke("%v", err)
			return b.String()
		}
		for all.Next() {
			var v [6]string
			all.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5])
			fmt.Fprintln(&b, v)
		}
		all.Close()
	}
	for _, s := range append(r.seats(), r.w.coming...) {
		n, ok := names[s.row]
		if !ok {
			n = "ended"
		}
		fmt.Fprintln(&b, s.Location, n, s.Account, names[rowOf(s.Context)], age(s.Created), age(s.used))
	}
	for _, j := range r.w.log {
		fmt.Fprintln(&b, age(j.at), j.secret, j.refused, j.hidden, j.proven, j.nonce, j.forced, j.traffic)
	}
	fmt.Fprintln(&b, r.w.known, r.w.spoken)
	var open []string
	for k := range r.open() {
		event, id, _ := strings.Cut(k, " ")
		open = append(open, fmt.Sprint(event, names[id], r.w.left[k]))
	}
	slices.Sort(open)
	fmt.Fprintln(&b, open)
	return b.String()
}
