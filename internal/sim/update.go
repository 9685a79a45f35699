package sim

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/redfish"
)

const (
	inventoryPath = updatePath + "/FirmwareInventory"
	multipartPath = updatePath + "/upload-multipart"

	updateRegistry = "Update.1.0."
	// updateTime is how long an update takes: long enough to be watched.
	updateTime = 4 * time.Second
)

// Bounds of an upload in parts. The image itself is not kept, and only as
// large as the UpdateService says (MaxImageSizeBytes).
const (
	maxImage            = 4 << 30
	maxUpdateParameters = 64 << 10
	maxUpdateParts      = 8
)

// A component is what has firmware in it.
type component struct {
	id       string // in the inventory
	device   string // the resource that shows the version too
	property string
}

var components = []component{
	{"BMC", managerPath, "FirmwareVersion"},
	{"BIOS", systemPath, "BiosVersion"},
}

// componentAt finds a component by the URI of its inventory or its device.
func componentAt(uri string) *component {
	for i, c := range components {
		if uri == inventoryPath+"/"+c.id || uri == c.device {
			return &components[i]
		}
	}
	return nil
}

// An update is one image for some components.
type update struct {
	image   string // its file name
	targets []*component
	onReset bool
	broken  bool // the image is of no use
}

// readUpdate reads what is the same for both ways to ask for an update, one of
// which is an action.
func readUpdate(b *redfish.Body, action ...string) *update {
	u := new(update)
	for _, uri := range b.Strings("Targets", maxListed) {
		c := componentAt(strings.TrimSuffix(uri, "/"))
		if c == nil {
			key := "PropertyValueNotInList"
			if action != nil {
				key = "ActionParameterValueNotInList"
			}
			b.Fail(key, "Targets", append([]string{shorten(uri), "Targets"}, action...)...)
			continue
		}
		u.targets = append(u.targets, c)
	}
	b.Bool("ForceUpdate") // there is nothing that it would have to force
	if when := b.OneOf("@Redfish.OperationApplyTime", "Immediate", "OnReset"); when != nil {
		u.onReset = *when == "OnReset"
	}
	return u
}

// aim picks what an image is for where nobody said.
func (u *update) aim(image string) {
	u.image = image
	switch {
	case len(u.targets) > 0:
	case strings.Contains(strings.ToUpper(image), "BIOS"):
		u.targets = []*component{componentAt(systemPath)}
	default:
		u.targets = []*component{componentAt(managerPath)}
	}
}

// simpleUpdate updates from an image that is elsewhere. It is not fetched: the
// device acts as if it had been.
func (d *Device) simpleUpdate(w http.ResponseWriter, r *http.Request, _ string) error {
	b, err := redfish.ReadAction(w, r, maxBody, "UpdateService.SimpleUpdate")
	if err != nil {
		return err
	}
	u := readUpdate(b, "UpdateService.SimpleUpdate")
	b.OneOf("TransferProtocol", allowedAt(d.store.get(updatePath).body, "Actions", "#UpdateService.SimpleUpdate", "TransferProtocol")...)
	b.Secret("Username")
	b.Secret("Password")
	b.Require("ImageURI")
	if uri := b.String("ImageURI"); uri != nil {
		from, err := url.Parse(*uri)
		if err != nil || len(*uri) > maxText || from.User != nil {
			b.Fail("ActionParameterValueError", "ImageURI", "ImageURI", "UpdateService.SimpleUpdate")
		} else {
			u.aim(path.Base(from.Path))
		}
	}
	if err := b.Err(); err != nil {
		return err
	}
	return d.startUpdate(w, r, u)
}

// startUpdate makes a task of an update and answers with it.
func (d *Device) startUpdate(w http.ResponseWriter, r *http.Request, u *update) error {
	t := &task{
		name: "Update with " + u.image, uri: strings.TrimSuffix(r.URL.EscapedPath(), "/"),
		length: updateTime, pending: u.onReset, finish: func() []taskMessage { return d.install(u) },
	}
	if err := d.tasks.start(t); err != nil {
		return err
	}
	d.recordFor(updatePath, "UpdateRequested", "An update with "+u.image+" was asked for.")
	return d.tasks.accepted(w, r, t)
}

// install gives the components their new version, as an update ends.
func (d *Device) install(u *update) (messages []taskMessage) {
	for _, c := range u.targets {
		inventory := inventoryPath + "/" + c.id
		m := taskMessage{
			id: updateRegistry + "UpdateSuccessful", severity: severityOK, args: []string{inventory, u.image},
			text: fmt.Sprintf("Device '%s' successfully updated with image '%s'.", inventory, u.image),
		}
		if u.broken {
			m = taskMessage{
				id: updateRegistry + "VerificationFailed", severity: severityCritical, args: []string{u.image, inventory},
				text: fmt.Sprintf("Verification of image '%s' at '%s' failed.", u.image, inventory),
			}
		} else {
			d.installOn(c, u.image)
		}
		messages = append(messages, m)
	}
	return messages
}

func (d *Device) installOn(c *component, image string) {
	inventory := inventoryPath + "/" + c.id
	var version string
	d.edit(inventory, func(body []byte) []byte {
		version = newVersion(text(body, "Version"), image)
		return putValue(body, version, "Version")
	})
	d.edit(c.device, func(body []byte) []byte { return putValue(body, version, c.property) })
	d.events.resourceEvent(eventResourceUpdated, c.device, "")
	d.recordFor(inventory, "FirmwareUpdated", fmt.Sprintf("%s firmware was updated to %s from %s.", c.id, version, image))
}

var versionInName = regexp.MustCompile(`[0-9]{1,5}(\.[0-9]{1,5}){1,3}`)

// newVersion is the one that an image's name tells, else the one after old.
func newVersion(old, image string) string {
	if v := versionInName.FindString(image); v != "" {
		return v
	}
	numbers := strings.Split(old, ".")
	last, err := strconv.Atoi(numbers[len(numbers)-1])
	if err != nil {
		return old + ".1"
	}
	numbers[len(numbers)-1] = strconv.Itoa(last + 1)
	return strings.Join(numbers, ".")
}

// multipartUpload takes parameters and image in one request (DSP0266 1.20.0,
// 12.6.2: multipart HTTP push), reads the image as it comes and keeps nothing
// of it. observed: redfish_utilities 3.5.2 sends UpdateParameters first, then UpdateFile.
func (d *Device) multipartUpload(w http.ResponseWriter, r *http.Request, _ string) error {
	if media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return &redfish.Problem{Status: http.StatusUnsupportedMediaType, Key: "HeaderInvalid", Args: []string{"Content-Type"}}
	}
	mr, err := r.MultipartReader()
	if err != nil {
		return brokenOff(err)
	}
	var u *update
	file, size := "", int64(-1)
	for n := 0; ; n++ {
		part, err := mr.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return brokenOff(err)
		}
		switch name := part.FormName(); {
		case n == maxUpdateParts:
			return &redfish.Problem{Status: http.StatusBadRequest, Key: "GeneralError", Text: "The upload has too many parts."}
		case name == "UpdateParameters" && u == nil:
			if u, err = updateParameters(part); err != nil {
				return err
			}
		case name == "UpdateFile" && file == "" && u != nil:
			file = imageName(part)
			if size, err = d.receive(part, maxImage); err != nil {
				return err
			}
		case name == "UpdateParameters" || name == "UpdateFile":
			return &redfish.Problem{Status: http.StatusBadRequest, Key: "GeneralError", Text: "UpdateParameters come once, and before the one UpdateFile."}
		default: // Oem parts
			if _, err := readPart(part); err != nil {
				return err
			}
		}
	}
	switch {
	case u == nil:
		return badRequest("PropertyMissing", "UpdateParameters")
	case file == "":
		return badRequest("PropertyMissing", "UpdateFile")
	}
	u.aim(file)
	u.broken = size == 0
	return d.startUpdate(w, r, u)
}

func imageName(part *multipart.Part) string {
	name := path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
	if name == "." || name == "/" || len(name) > maxText {
		return "image"
	}
	return strings.ToValidUTF8(name, "")
}

// readPart reads a part that is not the image.
func readPart(part *multipart.Part) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(part, maxUpdateParameters+1))
	switch {
	case err != nil:
		return nil, brokenOff(err)
	case len(body) > maxUpdateParameters:
		return nil, &redfish.Problem{Status: http.StatusRequestEntityTooLarge, Key: "PayloadTooLarge"}
	}
	return body, nil
}

// updateParameters reads the part that says what the image is for, by the
// rules for every other body.
func updateParameters(part *multipart.Part) (*update, error) {
	body, err := readPart(part)
	if err != nil {
		return nil, err
	}
	media := part.Header.Get("Content-Type")
	if media == "" {
		media = mediaJSON
	}
	b, err := redfish.ReadObject(nil, &http.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {media}},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, maxUpdateParameters)
	if err != nil {
		return nil, err
	}
	u := readUpdate(b)
	b.Object("Oem")
	return u, b.Err()
}
