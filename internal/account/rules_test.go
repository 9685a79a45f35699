package account_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
)

func TestCheckPassword(t *testing.T) {
	t.Parallel()
	wide := account.DefaultRules()
	narrow := account.Rules{Min: 10, Max: 12}
	for _, c := range []struct {
		name, password string
		rules          account.Rules
		want           error
	}{
		{"shortest", "12345678", wide, nil},
		{"blanks and accents", "with spaces:and ünïcode", wide, nil},
		{"longest", strings.Repeat("p", 128), wide, nil},
		{"longest in any bytes", strings.Repeat("😀", 128), wide, nil},
		{"characters count", "pässwörd..", narrow, nil},
		{"longest by rule", "123456789012", narrow, nil},
		{"empty", "", wide, account.ErrPasswordLength},
		{"too short", "1234567", wide, account.ErrPasswordLength},
		{"too few characters", "pässwör", wide, account.ErrPasswordLength},
		{"too long", strings.Repeat("p", 129), wide, account.ErrPasswordLength},
		{"much too long", strings.Repeat("p", account.MaxPassword+1), wide, account.ErrPasswordLength},
		{"too short by rule", "123456789", narrow, account.ErrPasswordLength},
		{"too long by rule", "1234567890123", narrow, account.ErrPasswordLength},
		{"line end", "12345678\n", wide, account.ErrBadPassword},
		{"null", "1234\x005678", wide, account.ErrBadPassword},
		{"delete", "12345678\x7f", wide, account.ErrBadPassword},
		{"not UTF-8", "p\xe4ssword", wide, account.ErrBadPassword},
	} {
		err := c.rules.CheckPassword(auth.NewSecret(c.password))
		if !errors.Is(err, c.want) || err != nil && !errors.Is(err, account.ErrBadPassword) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if errors.Is(err, account.ErrPasswordReused) || c.want == account.ErrBadPassword && errors.Is(err, account.ErrPasswordLength) {
			t.Errorf("%s: %v is of two kinds", c.name, err)
		}
		if c.password != "" && err != nil && strings.Contains(err.Error(), c.password) {
			t.Errorf("%s: the error holds the password: %v", c.name, err)
		}
	}
}

func TestCheckRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*account.Rules)
		good bool
	}{
		"default":                {func(*account.Rules) {}, true},
		"one length":             {func(r *account.Rules) { r.Min, r.Max = 20, 20 }, true},
		"lockout":                {func(r *account.Rules) { r.Threshold, r.Duration, r.ResetAfter = 5, time.Minute, time.Minute }, true},
		"lockout for ever":       {func(r *account.Rules) { r.Threshold, r.Duration, r.ResetAfter = 5, 0, time.Hour }, true},
		"most":                   {func(r *account.Rules) { r.History, r.Threshold, r.Duration = 24, 1000, account.MaxLockout }, true},
		"short passwords":        {func(r *account.Rules) { r.Min = 7 }, false},
		"long passwords":         {func(r *account.Rules) { r.Max = 129 }, false},
		"no length":              {func(r *account.Rules) { r.Min, r.Max = 20, 19 }, false},
		"long history":           {func(r *account.Rules) { r.History = 25 }, false},
		"negative history":       {func(r *account.Rules) { r.History = -1 }, false},
		"negative threshold":     {func(r *account.Rules) { r.Threshold = -1 }, false},
		"threshold out of reach": {func(r *account.Rules) { r.Threshold = 1001 }, false},
		"negative duration":      {func(r *account.Rules) { r.Duration = -1 }, false},
		"long duration":          {func(r *account.Rules) { r.Duration = account.MaxLockout + 1 }, false},
		"negative reset":         {func(r *account.Rules) { r.ResetAfter = -1 }, false},
		"long reset":             {func(r *account.Rules) { r.Duration, r.ResetAfter = 0, account.MaxLockout+1 }, false},
		"reset after the end":    {func(r *account.Rules) { r.ResetAfter = r.Duration + 1 }, false},
	} {
		r := account.DefaultRules()
		c.edit(&r)
		if err := r.Check(); (err == nil) != c.good || err != nil && !errors.Is(err, account.ErrBadRules) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
