package authority

import (
	"errors"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

// judged is what came of one hash: the verdict, and how a refusal is remembered.
type judged struct {
	verdict
	wrong wrongSecret
}

// judge reads the account and hashes, whatever the account is like. An account that
// is locked or disabled, or that does not exist, costs the same work as any other,
// to the rows that are written. An error says that there is no judgement.
func (k *checker) judge(f *flight) (judged, error) {
	now := k.now()
	rules, err := k.accounts.Rules(k.stop)
	if err != nil {
		return judged{}, err
	}
	a, err := account.Account{}, error(account.ErrNotFound)
	if account.CheckName(f.name) == nil {
		a, err = k.accounts.Account(k.stop, f.name)
	}
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return judged{}, err
	}
	hash := a.Hash
	if err != nil {
		hash = account.FakeHash()
	}
	right := k.hashes(hash, f.password) && err == nil
	if right && a.Enabled && !a.IsLocked(now) {
		return judged{verdict: verdict{account: k.settled(a, f.password, now)}}, nil
	}
	return k.refuse(f, a, right, rules, now)
}

// settled does what a good password is the occasion for: failures are forgotten, and
// a hash that was made elsewhere is replaced. That neither may fail the login.
func (k *checker) settled(a account.Account, password auth.Secret, now time.Time) account.Account {
	if a.Failures > 0 || a.Locked {
		_ = k.accounts.ClearFailures(k.stop, a.ID, now)
		a.Failures, a.FailedAt, a.Locked, a.LockedUntil = 0, time.Time{}, false, time.Time{}
	}
	if !account.NeedsRehash(a.Hash) {
		return a
	}
	if hash, err := account.Hash(password); err == nil && k.accounts.ReplaceHash(k.stop, a.ID, a.Hash, hash, now) == nil {
		a.Hash = hash
	}
	return a
}

// refuse counts a wrong password towards a lockout. A right one comes here where
// the account is locked, which counts nothing, or disabled.
func (k *checker) refuse(f *flight, a account.Account, right bool, rules account.Rules, now time.Time) (judged, error) {
	reason, id, was := "wrong password", a.ID, a.IsLocked(now)
	switch {
	case a.ID == "":
		reason = "unknown account"
	case was:
		reason = "account locked"
	case !a.Enabled:
		reason = "account disabled"
		if right {
			id = "" // nothing wrong with it; the work is done all the same
		}
	}
	v := judged{
		verdict: verdict{err: auth.ErrBadCredentials, reason: reason},
		wrong:   wrongSecret{until: now.Add(wrongFor)},
	}
	if right && was && !a.LockedUntil.IsZero() && a.LockedUntil.Before(v.wrong.until) {
		v.wrong.until = a.LockedUntil
	}
	if rules.Threshold == 0 {
		return v, nil
	}
	if v.wrong.counted = k.counted(f.secret); counts(v.wrong.counted, now, rules.ResetAfter) {
		locked, _, err := k.accounts.NoteFailure(k.stop, id, now, rules)
		if err != nil && !errors.Is(err, account.ErrNotFound) {
			return judged{}, err
		}
		v.wrong.counted = now
		if locked && !was {
			v.reason += ", which locks the account"
		}
	}
	if right { // it was refused for another reason, and may be wrong another day
		v.wrong.counted = time.Time{}
	}
	return v, nil
}

// counted returns when a secret was counted, the zero time if never.
func (k *checker) counted(secret digest) time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, _ := k.wrong.get(secret)
	return w.counted
}

// counts reports whether a wrong secret that was counted at last counts again: not
// as long as that one is counted.
func counts(last, now time.Time, resetAfter time.Duration) bool {
	return last.IsZero() || resetAfter > 0 && now.Sub(last) > resetAfter
}
