package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/postern/postern/redfish"
)

// An Upload is what the device has seen of the upload that began last at
// /redfish/v1/UpdateService/upload (what an HttpPushUri would name, which newer
// schemas deprecate), or at the MultipartHttpPushUri. It is counted as it
// arrives; Stats shows it while it does. Over the wire it leaves an entry in
// the log when it has ended.
type Upload struct {
	Count     int       // uploads begun since the device was switched on
	Bytes     int64     // arrived so far
	FirstByte time.Time // when the first arrived, true time; zero: none yet
	LastByte  time.Time // when the body ended; zero: not yet
	SHA256    string    // of the whole body, in hex, once it has ended
}

type uploads struct {
	mu   sync.Mutex // guards last
	last Upload
}

func (u *uploads) latest() Upload {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.last
}

// update changes the record of the n-th upload, unless a later one has begun.
func (u *uploads) update(n int, change func(*Upload)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.last.Count == n {
		change(&u.last)
	}
}

func (u *uploads) begin() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.last = Upload{Count: u.last.Count + 1}
	return u.last.Count
}

// uploadChunk is how much of an upload is held at a time.
const uploadChunk = 64 << 10

// upload takes a body of any type and size, keeps nothing of it but its count
// and digest, and answers 204 when it has ended.
func (d *Device) upload(w http.ResponseWriter, r *http.Request, _ string) error {
	if _, err := d.receive(r.Body, 0); err != nil {
		return err
	}
	return d.done(w)
}

// receive reads an image to its end, counts and hashes it as the latest
// upload, and tells the log. limit bounds it; 0: no limit.
func (d *Device) receive(from io.Reader, limit int64) (size int64, err error) {
	n := d.uploads.begin()
	sum := sha256.New()
	chunk := make([]byte, uploadChunk)
	for {
		got, err := from.Read(chunk)
		sum.Write(chunk[:got])
		size += int64(got)
		now := d.cfg.Now()
		d.uploads.update(n, func(u *Upload) {
			if u.Bytes = size; u.FirstByte.IsZero() && got > 0 {
				u.FirstByte = now
			}
		})
		switch {
		case limit > 0 && size > limit:
			return 0, &redfish.Problem{Status: http.StatusRequestEntityTooLarge, Key: "PayloadTooLarge"}
		case err == io.EOF:
			digest := hex.EncodeToString(sum.Sum(nil))
			d.uploads.update(n, func(u *Upload) { u.LastByte, u.SHA256 = now, digest })
			d.recordFor(updatePath, "ImageUploaded", fmt.Sprintf("An image of %d bytes was uploaded, SHA-256 %s.", size, digest))
			return size, nil
		case err != nil:
			return 0, brokenOff(err)
		}
	}
}

func brokenOff(err error) error {
	return &redfish.Problem{Status: http.StatusBadRequest, Key: "GeneralError", Text: "The upload broke off.", Err: err}
}
