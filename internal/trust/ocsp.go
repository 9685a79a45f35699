package trust

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	fetchTime     = 10 * time.Second // for one CRL or OCSP answer; a login waits for it
	ocspAnswers   = 10_000           // kept in memory, some 200 bytes each
	ocspAsking    = 16               // at once: the responders are other people's
	ocspRetry     = time.Minute      // until one that gave no answer is asked again
	ocspNoEnd     = 5 * time.Minute  // how long an answer without an end of its own counts
	ocspOldest    = 24 * time.Hour   // age of such an answer, which might be a repeated one
	ocspAddresses = 2                // responders asked for one certificate
)

type ocspStatus int

const (
	ocspNone ocspStatus = iota // no answer that can be believed
	ocspGood
	ocspRevoked
	ocspUnknown
)

// A responder asks OCSP responders (RFC 6960) and keeps their answers for as long
// as they say. No nonce is sent: it would make each answer one for us alone, which
// many responders do not give (RFC 5019, 2.1.1).
type responder struct {
	fetch FetchFunc
	slots chan struct{}

	mu      sync.Mutex // guards answers
	answers map[string]*ocspAnswer
}

// An ocspAnswer is complete when done is closed.
type ocspAnswer struct {
	done   chan struct{}
	status ocspStatus
	until  time.Time
	err    error // why there is no status
}

func newResponder(fetch FetchFunc) *responder {
	return &responder{fetch: fetch, slots: make(chan struct{}, ocspAsking), answers: map[string]*ocspAnswer{}}
}

// ask returns what the responder at url, or with "" the one that c names, says of
// c, and until when that holds. An error means ocspNone.
func (r *responder) ask(ctx context.Context, c, issuer *x509.Certificate, url string, now time.Time) (ocspStatus, time.Time, error) {
	a, ours := r.answer(ocspKey(c, issuer, url), now)
	if ours {
		r.fill(ctx, a, c, issuer, url, now)
	}
	select {
	case <-a.done:
		return a.status, a.until, a.err
	case <-ctx.Done():
		return ocspNone, now, ctx.Err()
	}
}

func ocspKey(c, issuer *x509.Certificate, url string) string {
	h := sha256.New()
	for _, part := range [][]byte{issuer.RawSubject, issuer.RawSubjectPublicKeyInfo, c.SerialNumber.Bytes()} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	h.Write([]byte(url))
	return string(h.Sum(nil))
}

// answer returns the kept answer, or a new one that the caller must fill.
func (r *responder) answer(key string, now time.Time) (a *ocspAnswer, ours bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.answers[key]; a != nil && (!a.isDone() || now.Before(a.until)) {
		return a, false
	}
	if len(r.answers) >= ocspAnswers {
		for k, old := range r.answers {
			if old.isDone() {
				delete(r.answers, k)
			}
		}
	}
	a = &ocspAnswer{done: make(chan struct{})}
	r.answers[key] = a
	return a, true
}

func (a *ocspAnswer) isDone() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// fill asks. Others wait for the answer too, so the cancel of ctx does not end it.
func (r *responder) fill(ctx context.Context, a *ocspAnswer, c, issuer *x509.Certificate, url string, now time.Time) {
	defer close(a.done)
	a.until, a.err = now.Add(ocspRetry), errors.New("it names no responder")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		a.err = errors.New("too many wait for an answer")
		return
	}
	urls := []string{url}
	if url == "" {
		urls = webURLs(c.OCSPServer)
	}
	for _, u := range urls {
		status, until, err := r.askAt(ctx, c, issuer, u, now)
		if err == nil {
			a.status, a.until, a.err = status, until, nil
			return
		}
		a.err = fmt.Errorf("%s: %w", u, err)
	}
}

// webURLs returns the first addresses that can be asked.
func webURLs(all []string) []string {
	var out []string
	for _, u := range all {
		if len(out) < ocspAddresses && isWebURL(u) {
			out = append(out, u)
		}
	}
	return out
}

func (r *responder) askAt(ctx context.Context, c, issuer *x509.Certificate, url string, now time.Time) (ocspStatus, time.Time, error) {
	if r.fetch == nil {
		return ocspNone, now, ErrFetch
	}
	// The hashes of the request only name the issuer; SHA-1 is what every
	// responder knows (RFC 5019, 2.1.1).
	request, err := ocsp.CreateRequest(c, issuer, nil)
	if err != nil {
		return ocspNone, now, err
	}
	der, err := r.fetch(ctx, "POST", url, "application/ocsp-request", request)
	if err != nil {
		return ocspNone, now, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	return parseOCSP(der, c, issuer, now)
}

// parseOCSP believes an answer about c that issuer has signed, or a responder to
// whom issuer has given a certificate for that.
func parseOCSP(der []byte, c, issuer *x509.Certificate, now time.Time) (ocspStatus, time.Time, error) {
	if len(der) > MaxOCSP {
		return ocspNone, now, fmt.Errorf("an answer of %d bytes", len(der))
	}
	// Without an issuer a certificate in the answer has proven the signature; who
	// that certificate is from is checked here.
	resp, err := ocsp.ParseResponseForCert(der, c, nil)
	if err != nil {
		return ocspNone, now, err
	}
	if err := checkSigner(resp, issuer, now); err != nil {
		return ocspNone, now, err
	}
	if err := checkSubject(resp, c, issuer); err != nil {
		return ocspNone, now, err
	}
	until := resp.NextUpdate
	switch {
	case resp.ThisUpdate.After(now.Add(clockSkew)):
		return ocspNone, now, fmt.Errorf("its time begins at %s", resp.ThisUpdate.Format(time.RFC3339))
	case !until.IsZero() && !now.Before(until):
		return ocspNone, now, fmt.Errorf("its time ended at %s", until.Format(time.RFC3339))
	case until.IsZero() && resp.ThisUpdate.Before(now.Add(-ocspOldest)):
		return ocspNone, now, fmt.Errorf("it is of %s", resp.ThisUpdate.Format(time.RFC3339))
	case until.IsZero():
		until = now.Add(ocspNoEnd)
	}
	switch resp.Status {
	case ocsp.Good:
		return ocspGood, until, nil
	case ocsp.Revoked:
		return ocspRevoked, until, nil
	}
	return ocspUnknown, until, nil
}

// checkSigner: RFC 6960, 4.2.2.2. Whether the responder's own certificate was
// revoked is not asked: it has a short life.
func checkSigner(resp *ocsp.Response, issuer *x509.Certificate, now time.Time) error {
	if weakAlgorithm(resp.SignatureAlgorithm) {
		return fmt.Errorf("it is signed with %s", resp.SignatureAlgorithm)
	}
	signer := resp.Certificate
	switch {
	case signer == nil:
		return resp.CheckSignatureFrom(issuer)
	case signer.Equal(issuer):
		return nil
	case !bytes.Equal(signer.RawIssuer, issuer.RawSubject):
		return fmt.Errorf("the responder %s has its certificate from another CA", describe(signer))
	case !slices.Contains(signer.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return fmt.Errorf("the certificate of the responder %s is not for OCSP", describe(signer))
	case len(signer.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("the responder %s has a critical extension that is not known here", describe(signer))
	}
	if err := issuer.CheckSignature(signer.SignatureAlgorithm, signer.RawTBSCertificate, signer.Signature); err != nil {
		return fmt.Errorf("the responder %s: %w", describe(signer), err)
	}
	for _, err := range []error{checkTime(signer, now), checkKey(signer, MinRSA), checkSignature(signer)} {
		if err != nil {
			return fmt.Errorf("the responder: %w", err)
		}
	}
	return nil
}

// checkSubject: a responder may answer for several CAs, and the library has looked
// at the serial number alone. The first answer with that number must name issuer.
func checkSubject(resp *ocsp.Response, c, issuer *x509.Certificate) error {
	var data struct {
		Version   int `asn1:"optional,default:0,explicit,tag:0"`
		Responder asn1.RawValue
		Produced  asn1.RawValue
		Answers   []struct{ ID ocspID } // what follows is none of ours
	}
	if _, err := asn1.Unmarshal(resp.TBSResponseData, &data); err != nil {
		return err
	}
	der, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: resp.IssuerHash})
	if err != nil {
		return err
	}
	want, err := ocsp.ParseRequest(der)
	if err != nil {
		return err
	}
	for _, a := range data.Answers {
		if a.ID.Serial.Cmp(c.SerialNumber) != 0 {
			continue
		}
		if bytes.Equal(a.ID.NameHash, want.IssuerNameHash) && bytes.Equal(a.ID.KeyHash, want.IssuerKeyHash) {
			return nil
		}
		break
	}
	return errors.New("it is about a certificate of another CA")
}

// ocspID is RFC 6960's CertID.
type ocspID struct {
	Algorithm asn1.RawValue
	NameHash  []byte
	KeyHash   []byte
	Serial    *big.Int
}
