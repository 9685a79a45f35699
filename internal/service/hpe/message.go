package hpe

import (
	"net/http"

	rf "github.com/postern/postern/redfish"
)

// own begins the keys of iLO's own messages.
const own = "iLO."

// say answers with one message, in the envelope that an iLO has for errors and
// for what went well.
func (c *call) say(status int, key string, args ...string) error {
	c.w.Header().Set("Allow", c.allow)
	rf.WriteMessage(c.w, c.r, status, key, args...)
	return nil
}

// refuse is an error with a message of either registry.
func refuse(status int, key string, args ...string) *rf.Problem {
	return &rf.Problem{Status: status, Key: key, Args: args}
}

func bad(key string, args ...string) *rf.Problem { return refuse(http.StatusBadRequest, key, args...) }
