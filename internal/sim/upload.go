package sim

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/postern/postern/redfish"
)

// An Upload is what the device has seen of the upload that began last at
// /redfish/v1/UpdateService/upload, the UpdateService's HttpPushUri. It is
// counted as it arrives, and can be read while it does: by Stats, and as
// Oem.Postern of the UpdateService.
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

// show is the form in which the UpdateService shows an upload.
func (u *uploads) show() any {
	last := u.latest()
	return struct {
		ODataType string `json:"@odata.type"`
		Uploads   int    `json:"Uploads"`
		Bytes     int64  `json:"BytesReceived"`
		First     any    `json:"FirstByteTime"`
		Last      any    `json:"LastByteTime"`
		SHA256    string `json:"SHA256"`
	}{"#PosternUpdateService.v1_0_0.UpdateService", last.Count, last.Bytes, timeOf(last.FirstByte), timeOf(last.LastByte), last.SHA256}
}

// uploadChunk is how much of an upload is held at a time.
const uploadChunk = 64 << 10

// upload takes a body of any type and size, keeps nothing of it but its count
// and digest, and answers 204 when it has ended.
func (d *Device) upload(w http.ResponseWriter, r *http.Request, _ string) error {
	n := d.uploads.begin()
	sum := sha256.New()
	chunk := make([]byte, uploadChunk)
	for {
		got, err := r.Body.Read(chunk)
		sum.Write(chunk[:got])
		now := d.cfg.Now()
		d.uploads.update(n, func(u *Upload) {
			if u.Bytes += int64(got); u.FirstByte.IsZero() && got > 0 {
				u.FirstByte = now
			}
		})
		if err == io.EOF {
			d.uploads.update(n, func(u *Upload) { u.LastByte, u.SHA256 = now, hex.EncodeToString(sum.Sum(nil)) })
			d.record("OK", "A firmware image was uploaded.")
			return d.done(w)
		}
		if err != nil {
			return &redfish.Problem{Status: http.StatusBadRequest, Key: "GeneralError", Text: "The upload broke off.", Err: err}
		}
	}
}
